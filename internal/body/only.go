package body

import (
	"context"
	"encoding/binary"
	"math/bits"

	"github.com/sluice-proxy/sluice/filters"
)

// forOnly is tokens for the commonest case: the only stage is one that sees
// everything. It goes on for as long as members and elements are all there, and
// returns where it stopped: before one, or behind the name of one, which has
// been shown. tokens and step go on from there.
func (w *walker) forOnly(ctx context.Context, pos int) (stopped int, err error) {
	r, top, data, trail := w.only, w.top, w.data, &w.only.trail
	if trail.steps == nil {
		trail.steps = new([trailSteps]trailStep)
	}
	lim := &w.e.limits
	var v *filters.Value // nil: it is still to be prepared
	key := w.key()       // of an array's elements
	for {
		var (
			first, from, name, nameEnd int
			comma                      = -1
			told                       bool
		)
		begun := w.state != expectCommaOrEnd // a container, with nothing in it yet
		if next := &trail.steps[trail.steps[trail.at].next]; !top.array && pos+trailBytes <= len(data) && next.kind == kindOf(begun) && (begun || top.kept) && next.is(data, pos) {
			trail.at = trail.steps[trail.at].next
			first, name, nameEnd, from = pos+int(next.first), pos+int(next.name), pos+int(next.nameEnd), pos+int(next.value)
			if key = data[name:nameEnd]; !begun {
				comma = first
			}
		} else {
			if first = spaceEnd(data, pos); first == len(data) {
				return pos, nil
			}
			from = first
			if c := data[first]; c == top.closer {
				w.pos = first
				if _, err := w.closeContainer(ctx, top.array); err != nil {
					return pos, err
				}
				if pos = w.pos; len(w.frames) == 0 {
					return pos, nil
				}
				top, key = w.top, w.key()
				continue
			} else if !begun {
				if c != ',' || !top.kept {
					return pos, nil
				}
				comma = first
				from = spaceEnd(data, first+1)
			}
			if !top.array {
				n, known := w.nameAt(from)
				if n < 0 {
					return pos, nil
				}
				name = from + 1
				nameEnd = name + n
				key = data[name:nameEnd]
				if !known {
					w.openMember(first, comma, name, nameEnd)
					if err := w.showName(ctx); err != nil || w.newName != nil || w.dropMember {
						return nameEnd + 1, err
					}
					v, told = nil, true
				}
				if from = spaceEnd(data, nameEnd+1); from < len(data) && data[from] == ':' {
					from = spaceEnd(data, from+1)
					if known {
						trail.tell(kindOf(begun), data, pos, first, name, nameEnd, from)
					}
				} else {
					from = len(data)
				}
			}
		}
		kind, to, escaped, plain := filters.String, -1, false, false
		if from < len(data) && from-first <= lim.NameBytes+maxPending {
			switch c := data[from]; c {
			case '"':
				if to, plain = contentEnd(data, from+1); to < len(data) && data[to] == '"' {
					to++
					break
				}
				plain = false
				_, to, escaped = scalarEnd(data, from)
			case '{', '[':
				if w.enter(c == '[', key) {
					top, pos = w.top, from+1
					key = w.key()
					continue
				}
			default:
				kind, to, escaped = scalarEnd(data, from)
			}
		}
		if to < 0 || to-from > maxScalar && kind != filters.String || to-from-2 >= lim.PieceBytes || w.events != nil && w.events.isPart(from) {
			if top.array {
				return pos, nil
			}
			if !told {
				w.openMember(first, comma, name, nameEnd)
			}
			return nameEnd + 1, nil
		}
		if r.stage.Ignores>>kind&1 == 0 {
			if v == nil {
				v = r.prepare(kind, key, nil)
			}
			text := data[from:to]
			if kind == filters.String {
				if text = text[1 : len(text)-1]; escaped {
					w.scratch = appendUnescaped(w.scratch[:0], text)
					text = w.scratch
				}
			}
			v.Kind, v.Key, v.Text, v.Plain = kind, stringOf(key), text, plain
			if err := r.stage.Stream.Value(ctx, v); err != nil {
				return to, err
			}
			if w.events != nil {
				w.saw(r)
			}
			if v.Touched() {
				if !v.OnlyEdited() {
					if w.pos, w.pending, w.comma = to, first, comma; !top.array {
						w.openMember(first, comma, name, nameEnd)
					}
					if err := w.change(ctx, 0, from, to, text); err != nil {
						return to, err
					}
					v.Reset()
					pos = to
					continue
				}
				if kind == filters.String {
					w.edit(from+1, to-1, len(text), v.Edits())
				} else { // it becomes one
					w.emit(from)
					w.e.out(quote)
					w.edit(from, to, len(text), v.Edits())
					w.emit(to)
					w.e.out(quote)
				}
				v.Reset()
			}
		}
		if told {
			w.pending, w.comma, w.hasName = -1, -1, false
		}
		top.kept, w.state = true, expectCommaOrEnd
		pos = to
	}
}

// enter opens the container that is the next value, of the member of that name
// if any. It is false, and nothing is done, where that is too deep or has to be
// shown.
func (w *walker) enter(array bool, name []byte) bool {
	ignores := w.only.stage.Ignores
	if len(w.frames) >= w.e.limits.Depth || !array && ignores>>filters.Object&1 == 0 && Retells(stringOf(name)) {
		return false
	}
	w.top.kept = true
	w.push(frame{array: array, named: ignores>>filters.Name&1 == 0, seen: true}, name)
	w.pending, w.comma, w.hasName = -1, -1, false
	return true
}

// nameAt returns the length of the name in quotes at data[i], and whether it
// need not be shown. It is -1 where the name is not all there, or not plain.
func (w *walker) nameAt(i int) (n int, known bool) {
	data, left := w.data, w.only.left
	if i >= len(data) || data[i] != '"' {
		return -1, false
	}
	if i += 1; i+16 <= len(data) {
		head := binary.LittleEndian.Uint64(data[i:])
		tail := head
		if end := notPlain(head); end != 0 {
			n = bits.TrailingZeros64(end) / 8
			head &= 1<<(8*n) - 1
			tail = head
		} else if end = notPlain(binary.LittleEndian.Uint64(data[i+8:])); end != 0 {
			n = 8 + bits.TrailingZeros64(end)/8
			tail = binary.LittleEndian.Uint64(data[i+n-8:])
		}
		if data[i+n] == '"' && n < w.e.limits.NameBytes && (!w.top.named || left.has(head, tail, n)) {
			return n, true
		}
	}
	if n = plainEnd(data, i) - i; i+n == len(data) || data[i+n] != '"' || n >= w.e.limits.NameBytes {
		return -1, false
	}
	return n, !w.top.named
}

// openMember opens the member whose name is data[from:to], without escapes, and
// which begins at pending.
func (w *walker) openMember(pending, comma, from, to int) {
	w.pending, w.comma = pending, comma
	w.nameFrom, w.nameTo, w.member = from-1, to+1, w.data[from:to]
	w.hasName, w.newName, w.dropMember = true, nil, false
	w.state = expectColon
}
