package main

import (
	"math"
	"math/rand/v2"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

const labels = names.Labels

// chain is a linear-chain conditional random field in training: weights and,
// for AdaGrad, their summed squared gradients.
type chain struct {
	w, g   []float32
	move   [labels + 1][labels]float32
	moveG  [labels + 1][labels]float32
	l2, lr float32

	sum   []float32 // of the weights at the end of the later epochs
	sumM  [labels + 1][labels]float32
	times int
}

// remember adds the weights as they are to those that the model is made of:
// the mean is less of an accident than the last state.
func (c *chain) remember() {
	if c.sum == nil {
		c.sum = make([]float32, len(c.w))
	}
	for i, v := range c.w {
		c.sum[i] += v
	}
	for p := range c.move {
		for l, v := range c.move[p] {
			c.sumM[p][l] += v
		}
	}
	c.times++
}

func newChain() *chain {
	c := &chain{w: make([]float32, labels<<names.FeatureBits), g: make([]float32, labels<<names.FeatureBits), lr: 0.15}
	for p := range c.move {
		for l := range labels {
			if forbidden(p, l) {
				c.move[p][l] = -30
			}
		}
	}
	return c
}

// forbidden reports whether a label cannot follow another: what goes on has to
// have begun.
func forbidden(p, l int) bool {
	k := names.KindOf(l)
	if k == names.None || l == names.BeginLabel(k) {
		return false
	}
	return p == labels || names.KindOf(p) != k
}

// learn takes one step for a sample and returns its loss.
func (c *chain) learn(s *names.Sample, weight float32) float64 {
	n := len(s.Labels)
	emit := make([][labels]float64, n)
	scale := make([]float64, n)
	for k, fs := range s.Features {
		var e [labels]float32
		for _, f := range fs {
			row := c.w[int(f)*labels : int(f)*labels+labels]
			for l := range e {
				e[l] += row[l]
			}
		}
		top := e[0]
		for _, v := range e[1:] {
			top = max(top, v)
		}
		scale[k] = float64(top)
		for l := range e {
			emit[k][l] = math.Exp(float64(e[l] - top))
		}
	}
	var move [labels + 1][labels]float64
	for p := range move {
		for l := range labels {
			move[p][l] = math.Exp(float64(c.move[p][l]))
		}
	}
	alpha := make([][labels]float64, n)
	beta := make([][labels]float64, n)
	logZ := 0.0
	for k := range n {
		sum := 0.0
		for l := range labels {
			v := 0.0
			if k == 0 {
				v = move[labels][l]
			} else {
				for p := range labels {
					v += alpha[k-1][p] * move[p][l]
				}
			}
			v *= emit[k][l]
			alpha[k][l] = v
			sum += v
		}
		for l := range labels {
			alpha[k][l] /= sum
		}
		logZ += math.Log(sum) + scale[k]
	}
	for k := n - 1; k >= 0; k-- {
		sum := 0.0
		for l := range labels {
			v := 1.0
			if k < n-1 {
				v = 0
				for q := range labels {
					v += move[l][q] * emit[k+1][q] * beta[k+1][q]
				}
			}
			beta[k][l] = v
			sum += v
		}
		for l := range labels {
			beta[k][l] /= sum
		}
	}
	gold := 0.0
	var grad [labels + 1][labels]float32
	for k := range n {
		var p [labels]float64
		total := 0.0
		for l := range labels {
			p[l] = alpha[k][l] * beta[k][l]
			total += p[l]
		}
		var d [labels]float32
		for l := range labels {
			d[l] = float32(p[l] / total)
		}
		y := int(s.Labels[k])
		d[y]--
		gold += math.Log(emit[k][y]) + scale[k]
		prev := labels
		if k > 0 {
			prev = int(s.Labels[k-1])
		}
		gold += float64(c.move[prev][y])
		grad[prev][y]--
		if k == 0 {
			for l := range labels {
				grad[labels][l] += float32(p[l] / total)
			}
		} else {
			z := 0.0
			var pair [labels][labels]float64
			for a := range labels {
				for b := range labels {
					v := alpha[k-1][a] * move[a][b] * emit[k][b] * beta[k][b]
					pair[a][b] = v
					z += v
				}
			}
			for a := range labels {
				for b := range labels {
					grad[a][b] += float32(pair[a][b] / z)
				}
			}
		}
		small := true
		for _, v := range d {
			if v > 0.001 || v < -0.001 {
				small = false
			}
		}
		if small {
			continue
		}
		for _, f := range s.Features[k] {
			row := c.w[int(f)*labels : int(f)*labels+labels]
			sq := c.g[int(f)*labels : int(f)*labels+labels]
			for l := range d {
				g := d[l]*weight + c.l2*row[l]
				sq[l] += g * g
				row[l] -= c.lr * g / (float32(math.Sqrt(float64(sq[l]))) + 0.1)
			}
		}
	}
	for p := range grad {
		for l := range labels {
			if g := grad[p][l] * weight; g != 0 && !forbidden(p, l) {
				c.moveG[p][l] += g * g
				c.move[p][l] -= c.lr * g / (float32(math.Sqrt(float64(c.moveG[p][l]))) + 1)
			}
		}
	}
	return logZ - gold
}

// model rounds the weights to steps of one 127th of the greatest.
func (c *chain) model(l *names.Lexicon) *names.Model {
	n := float32(max(1, c.times))
	top := float32(0)
	for _, v := range c.sum {
		top = max(top, float32(math.Abs(float64(v/n))))
	}
	top = min(top, 4)
	m := &names.Model{Lexicon: l, Scale: top / 127, Weights: make([]int8, len(c.w))}
	for p := range m.Move {
		for l := range m.Move[p] {
			m.Move[p][l] = c.sumM[p][l] / n
		}
	}
	for i, v := range c.sum {
		m.Weights[i] = int8(math.Round(float64(min(max(v/n, -top), top) / m.Scale)))
	}
	return m
}

// thin leaves features of a sample out at random, so that no weight relies on
// another.
func thin(r *rand.Rand, s *names.Sample, share float32) {
	for i, fs := range s.Features {
		kept := fs[:0]
		for _, f := range fs {
			if r.Float32() >= share {
				kept = append(kept, f)
			}
		}
		s.Features[i] = kept
	}
}
