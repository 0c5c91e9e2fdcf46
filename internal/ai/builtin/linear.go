package builtin

import (
	"bytes"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
)

//go:embed models/*.bin
var models embed.FS

// magic begins a model's file; its last byte is the version.
const magic = "sluicelm\x01"

// Linear is a linear classifier over hashed features: a weight a class and
// bucket, in a byte each.
type Linear struct {
	Classes []string
	scale   []float32 // by class
	bias    []float32
	weights []int8 // class by class
}

// load reads the model that ships under a name.
func load(name string) (*Linear, error) {
	b, err := models.ReadFile("models/" + name + ".bin")
	if err != nil {
		return nil, fmt.Errorf("reading the model %s: %w", name, err)
	}
	m, err := ReadLinear(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("reading the model %s: %w", name, err)
	}
	return m, nil
}

// The models, each read when it is first needed.
var (
	intentModel     = sync.OnceValues(func() (*Linear, error) { return load("intent") })
	riskModel       = sync.OnceValues(func() (*Linear, error) { return load("risk") })
	complexityModel = sync.OnceValues(func() (*Linear, error) { return load("complexity") })
	injectionModel  = sync.OnceValues(func() (*Linear, error) { return load("injection") })
)

// Predict returns the probability of each class.
func (m *Linear) Predict(text string) []float64 {
	fs := featuresOf(text)
	scores := make([]float64, len(m.Classes))
	for c := range m.Classes {
		w := m.weights[c*buckets : (c+1)*buckets]
		var sum float64
		for _, f := range fs {
			sum += float64(w[f.bucket]) * float64(f.value)
		}
		scores[c] = sum*float64(m.scale[c]) + float64(m.bias[c])
	}
	softmax(scores)
	return scores
}

// Best returns the likeliest class and its probability.
func (m *Linear) Best(text string) (class string, probability float64) {
	for c, p := range m.Predict(text) {
		if p > probability {
			class, probability = m.Classes[c], p
		}
	}
	return class, probability
}

// Probability returns that of one class.
func (m *Linear) Probability(text, class string) float64 {
	for c, p := range m.Predict(text) {
		if m.Classes[c] == class {
			return p
		}
	}
	return 0
}

func softmax(s []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, v := range s {
		top = max(top, v)
	}
	for i, v := range s {
		s[i] = math.Exp(v - top)
		sum += s[i]
	}
	for i := range s {
		s[i] /= sum
	}
}

// Train fits a model to the examples: multinomial logistic regression by
// gradient descent with a step of its own for each weight (AdaGrad). The same
// examples give the same model.
func Train(classes []string, texts []string, labels []int) *Linear {
	const (
		epochs = 60
		rate   = 0.4
		decay  = 2e-5 // of the weights, an example
	)
	n := len(classes)
	w := make([]float64, n*buckets)
	g2 := make([]float64, n*buckets)
	bias := make([]float64, n)
	vectors := make([][]feature, len(texts))
	weight := make([]float64, n) // classes count alike, however many examples they have
	for i, t := range texts {
		vectors[i] = featuresOf(t)
		weight[labels[i]]++
	}
	for c := range weight {
		weight[c] = float64(len(texts)) / (float64(n) * max(weight[c], 1))
	}
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	seed := uint64(1)
	p := make([]float64, n)
	for range epochs {
		for i := len(order) - 1; i > 0; i-- {
			seed = seed*6364136223846793005 + 1442695040888963407
			j := int(seed>>33) % (i + 1)
			order[i], order[j] = order[j], order[i]
		}
		for _, i := range order {
			for c := range p {
				p[c] = bias[c]
				for _, f := range vectors[i] {
					p[c] += w[c*buckets+int(f.bucket)] * float64(f.value)
				}
			}
			softmax(p)
			for c := range p {
				g := p[c]
				if c == labels[i] {
					g--
				}
				g *= weight[labels[i]]
				bias[c] -= 0.02 * g
				for _, f := range vectors[i] {
					k := c*buckets + int(f.bucket)
					gk := g*float64(f.value) + decay*w[k]
					g2[k] += gk * gk
					w[k] -= rate * gk / math.Sqrt(g2[k]+1e-8)
				}
			}
		}
	}
	m := &Linear{Classes: classes, scale: make([]float32, n), bias: make([]float32, n), weights: make([]int8, n*buckets)}
	for c := range n {
		var top float64
		for _, v := range w[c*buckets : (c+1)*buckets] {
			top = max(top, math.Abs(v))
		}
		m.scale[c], m.bias[c] = float32(max(top, 1e-9)/127), float32(bias[c])
		for b := range buckets {
			m.weights[c*buckets+b] = int8(math.Round(w[c*buckets+b] / float64(m.scale[c])))
		}
	}
	return m
}

// Write writes the model.
func (m *Linear) Write(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(magic)
	b.WriteByte(byte(len(m.Classes)))
	for c, name := range m.Classes {
		b.WriteByte(byte(len(name)))
		b.WriteString(name)
		_ = binary.Write(&b, binary.LittleEndian, [2]float32{m.scale[c], m.bias[c]}) // to memory
	}
	_ = binary.Write(&b, binary.LittleEndian, m.weights)
	_, err := w.Write(b.Bytes())
	return err
}

// ReadLinear reads what Write wrote.
func ReadLinear(r io.Reader) (*Linear, error) {
	head := make([]byte, len(magic)+1)
	if _, err := io.ReadFull(r, head); err != nil || string(head[:len(magic)]) != magic {
		return nil, fmt.Errorf("it is not a model of this version")
	}
	n := int(head[len(magic)])
	m := &Linear{weights: make([]int8, n*buckets)}
	for range n {
		var l [1]byte
		if _, err := io.ReadFull(r, l[:]); err != nil {
			return nil, err
		}
		name := make([]byte, l[0])
		var nums [2]float32
		if _, err := io.ReadFull(r, name); err != nil {
			return nil, err
		}
		if err := binary.Read(r, binary.LittleEndian, &nums); err != nil {
			return nil, err
		}
		m.Classes, m.scale, m.bias = append(m.Classes, string(name)), append(m.scale, nums[0]), append(m.bias, nums[1])
	}
	if err := binary.Read(r, binary.LittleEndian, m.weights); err != nil {
		return nil, err
	}
	return m, nil
}
