package builtin

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
)

//go:embed models/*.bin
var models embed.FS

// magic begins a model's file; its last byte is the version.
const magic = "sluicelm\x02"

// Linear is a linear classifier over hashed features: a weight a class and
// bucket, in a byte each.
type Linear struct {
	Classes []string
	looks   featureSet
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
	scores := make([]float64, len(m.Classes))
	m.predict(text, scores)
	return scores
}

func (m *Linear) predict(text string, scores []float64) {
	r := readings.Get().(*reading)
	defer readings.Put(r)
	fs := r.featuresOf(text, m.looks)
	buckets := m.looks.buckets()
	for c := range m.Classes {
		w := m.weights[c*buckets : (c+1)*buckets]
		var sum float64
		for _, f := range fs {
			sum += float64(w[f.bucket]) * float64(f.value)
		}
		scores[c] = sum*float64(m.scale[c]) + float64(m.bias[c])
	}
	softmax(scores)
}

// maxClasses bounds the classes of a model.
const maxClasses = 32

// Best returns the likeliest class and its probability.
func (m *Linear) Best(text string) (class string, probability float64) {
	var scores [maxClasses]float64
	m.predict(text, scores[:len(m.Classes)])
	for c, p := range scores[:len(m.Classes)] {
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

// Training is how a model is trained. The zero value is how those of few
// classes are.
type Training struct {
	// Wide looks at more of a text: what its words are about, and their parts.
	Wide bool
	// Dropout is the share of a text's features that are left out, others each
	// time, so that a class does not hang on one word.
	Dropout float64
	// Epochs is how often the examples are gone through; 60 where 0.
	Epochs int
	// Sharpness multiplies what the model says, so that its probabilities are
	// how often it is right; 1 where 0.
	Sharpness float64
}

func (t Training) looks() featureSet {
	if t.Wide {
		return featureSet{bits: 14, kinds: true}
	}
	return featureSet{bits: 13}
}

// random is a generator of the same numbers every time.
type random uint64

func (r *random) next() uint32 {
	*r = *r*6364136223846793005 + 1442695040888963407
	return uint32(*r >> 33)
}

// Train fits a model to the examples: multinomial logistic regression by
// gradient descent with a step of its own for each weight (AdaGrad). Classes
// count alike, however many examples they have. The same examples give the
// same model.
func Train(classes []string, texts []string, labels []int, how Training) *Linear {
	const (
		rate  = 0.4
		decay = 2e-5 // of the weights, an example
	)
	epochs := cmp.Or(how.Epochs, 60)
	looks := how.looks()
	n, buckets := len(classes), looks.buckets()
	w := make([]float64, n*buckets)
	g2 := make([]float64, n*buckets)
	bias := make([]float64, n)
	vectors := make([][]feature, len(texts))
	weight := make([]float64, n)
	r := new(reading)
	for i, t := range texts {
		vectors[i] = slices.Clone(r.featuresOf(t, looks))
		weight[labels[i]]++
	}
	for c := range weight {
		weight[c] = float64(len(texts)) / (float64(n) * max(weight[c], 1))
	}
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	chance := random(1)
	p := make([]float64, n)
	var seen, some []feature
	for range epochs {
		for i := len(order) - 1; i > 0; i-- {
			j := int(chance.next()) % (i + 1)
			order[i], order[j] = order[j], order[i]
		}
		for _, i := range order {
			seen = vectors[i]
			if how.Dropout > 0 {
				some = drop(append(some[:0], seen...), how.Dropout, &chance)
				seen = some
			}
			for c := range p {
				p[c] = bias[c]
				for _, f := range seen {
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
				for _, f := range seen {
					k := c*buckets + int(f.bucket)
					gk := g*float64(f.value) + decay*w[k]
					g2[k] += gk * gk
					w[k] -= rate * gk / math.Sqrt(g2[k]+1e-8)
				}
			}
		}
	}
	m := &Linear{Classes: classes, looks: looks, scale: make([]float32, n), bias: make([]float32, n), weights: make([]int8, n*buckets)}
	sharp := cmp.Or(how.Sharpness, 1)
	for c := range n {
		var top float64
		for _, v := range w[c*buckets : (c+1)*buckets] {
			top = max(top, math.Abs(v))
		}
		scale := max(top, 1e-9) / 127
		for b := range buckets {
			m.weights[c*buckets+b] = int8(math.Round(w[c*buckets+b] / scale))
		}
		m.scale[c], m.bias[c] = float32(scale*sharp), float32(bias[c]*sharp)
	}
	return m
}

// drop leaves a share of the features out.
func drop(fs []feature, share float64, chance *random) []feature {
	return slices.DeleteFunc(fs, func(feature) bool { return float64(chance.next()) < share*(1<<31) })
}

// Write writes the model.
func (m *Linear) Write(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(magic)
	kinds := byte(0)
	if m.looks.kinds {
		kinds = 1
	}
	b.Write([]byte{m.looks.bits, kinds, byte(len(m.Classes))})
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
	head := make([]byte, len(magic)+3)
	if _, err := io.ReadFull(r, head); err != nil || string(head[:len(magic)]) != magic {
		return nil, fmt.Errorf("it is not a model of this version")
	}
	head = head[len(magic):]
	m := &Linear{looks: featureSet{bits: head[0], kinds: head[1] == 1}}
	n := int(head[2])
	if m.looks.bits > 20 || n > maxClasses {
		return nil, fmt.Errorf("it is too large")
	}
	m.weights = make([]int8, n*m.looks.buckets())
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

// TrainingOf returns how the model of a name is trained.
func TrainingOf(name string) Training {
	if name == "intent" {
		return Training{Wide: true, Dropout: 0.3, Epochs: 20, Sharpness: 0.85}
	}
	return Training{}
}
