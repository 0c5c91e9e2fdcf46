package names

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Kind is a kind of name.
type Kind uint8

// The kinds. Other names, of products and works, are told apart so that they
// are not taken for people; they are not reported.
const (
	None Kind = iota
	Person
	Place
	Organization
	Group // of people: a nation, a religion, a party
	Other
)

// Labels is how many labels a token may have: none, and for each kind one
// that begins a name and one that goes on.
const Labels = 11

// BeginLabel is the label of the first token of a name; the next one is that
// of those that follow.
func BeginLabel(k Kind) int { return int(k)*2 - 1 }

// KindOf returns the kind of a label.
func KindOf(label int) Kind { return Kind((label + 1) / 2) }

// Model is the weights, and the words that are known.
type Model struct {
	Lexicon *Lexicon
	// Weights are for each feature and label, in steps of Scale. A model that
	// was read has them in another form.
	Weights []int8
	Scale   float32
	// Move is the weight of one label after another; the last row is for the
	// beginning of an island.
	Move [Labels + 1][Labels]float32

	folder  folder
	taggers sync.Pool
	// What the tagger reads of it.
	rows *[1 << FeatureBits]row
	// way is Move for path, odds are its powers for marginals: of the first
	// label, of those that may be behind any label, and of that which goes on
	// behind a label. A label that is worth less than another one by more than
	// its reach is not the best one before any but that which goes on.
	way struct {
		first, on, reach [Labels]int32
		next             [Labels][follows]int32
	}
	odds struct {
		first, on [Labels]float64
		next      [Labels][follows]float64
	}
	exps  [1024]float64 // see exp
	bonus int32         // rememberedBonus
	// gain is by how many steps, at most, a row of tokens of a kind wins over the
	// label 0 by the moves to its first token, to each other one, and from the
	// last. An outset is what the row before the first token wins.
	gain struct{ to, on, from, outset [follows - 1]int32 }
}

// magic begins a model; its last byte is the format.
const magic = "names\x00\x00\x01"

// Write writes the model, compressed.
func (m *Model) Write(w io.Writer) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return fmt.Errorf("writing the model: %w", err)
	}
	b := []byte(magic)
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(m.Scale))
	for _, row := range m.Move {
		for _, v := range row {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	b = m.Lexicon.append(b)
	for _, v := range m.Weights {
		b = append(b, byte(v))
	}
	if _, err := z.Write(b); err != nil {
		return fmt.Errorf("writing the model: %w", err)
	}
	return z.Close()
}

// Read reads a model.
func Read(data []byte) (*Model, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("reading the model: %w", err)
	}
	defer z.Close()
	const size = len(magic) + 4 + (Labels+1)*Labels*4
	b, err := z.DecodeAll(data, make([]byte, 0, 8<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the model: %w", err)
	}
	if len(b) < size || string(b[:len(magic)]) != magic {
		return nil, errors.New("this is no model of names")
	}
	m := &Model{Lexicon: &Lexicon{}, folder: newFolder()}
	b = b[len(magic):]
	float := func() float32 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(b))
		b = b[4:]
		return v
	}
	m.Scale = float()
	for i := range m.Move {
		for j := range m.Move[i] {
			m.Move[i][j] = float()
		}
	}
	if b, err = m.Lexicon.read(b); err != nil {
		return nil, err
	}
	if len(b) != Labels<<FeatureBits {
		return nil, errShort
	}
	m.prepare(b)
	return m, nil
}

//go:embed model.bin
var embedded []byte

// Default returns the embedded model. It is unpacked when first asked for.
var Default = sync.OnceValues(Load)

// Load unpacks the embedded model.
func Load() (*Model, error) { return Read(embedded) }
