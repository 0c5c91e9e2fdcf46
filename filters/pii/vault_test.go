package pii

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/detect"
	"github.com/sluice-proxy/sluice/internal/keyring"
	"github.com/sluice-proxy/sluice/internal/store"
)

const testKey = "0123456789abcdef0123456789abcdef"

// keyed is a filter with a key and a store.
func keyed(t testing.TB, s filters.Store, edit func(*Config)) *filter {
	t.Helper()
	t.Setenv("PII_TEST_KEY", testKey)
	c := *Definition().Config().(*Config)
	c.Key = filters.SecretRef{Env: "PII_TEST_KEY"}
	if edit != nil {
		edit(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	f, err := build(c, filters.Env{Now: time.Now, Rand: rand.Reader, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return f.(*filter)
}

// passed passes a text through a filter as a consumer's.
func passed(t testing.TB, f *filter, ex *filters.Exchange, text string) (string, filters.Decision, error) {
	t.Helper()
	s, err := f.Open(t.Context(), ex, filters.Request)
	if err != nil {
		return "", filters.Decision{}, err
	}
	v := filters.Value{Kind: filters.String, Text: []byte(text)}
	if err := s.Value(t.Context(), &v); err != nil {
		return "", filters.Decision{}, err
	}
	out, at := "", 0
	for _, e := range v.Edits() {
		out += text[at:e.Start] + string(e.With)
		at = e.End
	}
	dec, err := s.Close(t.Context(), &filters.Ledger{})
	return out + text[at:], dec, err
}

func exchange(id, consumer string) *filters.Exchange {
	return &filters.Exchange{ID: id, Started: time.Unix(1, 0), Consumer: filters.Consumer{ID: consumer}, Route: filters.Route{Name: "r"}}
}

// TestTenants: equal values of two tenants never come out equal, and those of
// one always do, across exchanges too.
func TestTenants(t *testing.T) {
	const value = "jane.doe@example.com"
	for _, c := range []struct {
		action Action
		tokens Tokens
	}{
		{Hash, Tokens{}}, {Tokenize, Tokens{Style: Opaque}}, {Encrypt, Tokens{}}, {Synthesize, Tokens{}},
	} {
		s := store.NewMemory(0, nil)
		write := func(ex *filters.Exchange, edit func(*Config)) string {
			t.Helper()
			f := keyed(t, s, func(cfg *Config) {
				cfg.Action = c.action
				if c.tokens.Style != "" {
					cfg.Tokens.Style = c.tokens.Style
				}
				if edit != nil {
					edit(cfg)
				}
			})
			out, _, err := passed(t, f, ex, value)
			if err != nil || out == value {
				t.Fatalf("%s: %q, %v", c.action, out, err)
			}
			return out
		}
		a := write(exchange("1", "a"), nil)
		if again := write(exchange("2", "a"), nil); again != a {
			t.Errorf("%s: one tenant, and %s is not %s", c.action, again, a)
		}
		for name, other := range map[string]string{
			"another consumer": write(exchange("1", "b"), nil),
			"a user name":      write(&filters.Exchange{ID: "1", Consumer: filters.Consumer{Username: "a"}}, nil),
			"nobody":           write(&filters.Exchange{ID: "1"}, nil),
			"a route":          write(exchange("1", "a"), func(c *Config) { c.Tenant = ByRoute }),
			"none":             write(exchange("1", "a"), func(c *Config) { c.Tenant = ByNobody }),
			"a claim":          write(&filters.Exchange{Consumer: filters.Consumer{ID: "a", Claims: map[string]any{"org": "a"}}}, func(c *Config) { c.TenantClaim = "org" }),
		} {
			if other == a {
				t.Errorf("%s: %s has the same as consumer a", c.action, name)
			}
		}
		if f := keyed(t, s, func(cfg *Config) { cfg.Action, cfg.TenantClaim = c.action, "org" }); true {
			if _, _, err := passed(t, f, exchange("1", "a"), value); err == nil {
				t.Errorf("%s: a caller without the claim passed", c.action)
			}
		}
	}
}

// TestNumberedTokens: they count within the exchange or the conversation, and
// mean nothing outside of it or to another tenant.
func TestNumberedTokens(t *testing.T) {
	s := store.NewMemory(0, nil)
	tokenize := keyed(t, s, func(c *Config) { c.Action = Tokenize; c.Tokens.Conversation = "X-Chat" })
	restore := keyed(t, s, func(c *Config) { c.Restore = true; c.Tokens.Conversation = "x-chat" })
	chat := func(id, consumer, conversation string) *filters.Exchange {
		ex := exchange(id, consumer)
		if conversation != "" {
			ex.Request.Headers = filters.NewHeaders(filters.Field{Name: "x-chat", Value: conversation})
		}
		return ex
	}
	expect := func(f *filter, ex *filters.Exchange, in, want string) {
		t.Helper()
		if got, _, err := passed(t, f, ex, in); err != nil || got != want {
			t.Errorf("%q became %q, %v; want %q", in, got, err, want)
		}
	}
	expect(tokenize, chat("1", "a", ""), "jane.doe@example.com and joe@example.org", "<EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_2>")
	expect(tokenize, chat("2", "a", ""), "joe@example.org", "<EMAIL_ADDRESS_1>")
	expect(restore, chat("1", "a", ""), "<EMAIL_ADDRESS_1> <EMAIL_ADDRESS_2>", "jane.doe@example.com joe@example.org")
	expect(restore, chat("2", "a", ""), "<EMAIL_ADDRESS_1> <EMAIL_ADDRESS_2>", "joe@example.org <EMAIL_ADDRESS_2>")
	expect(restore, chat("1", "b", ""), "<EMAIL_ADDRESS_1>", "<EMAIL_ADDRESS_1>")
	later := chat("1", "a", "")
	later.Started = later.Started.Add(time.Second) // a client can repeat an id, but not the time
	expect(restore, later, "<EMAIL_ADDRESS_1>", "<EMAIL_ADDRESS_1>")

	expect(tokenize, chat("3", "a", "c"), "jane.doe@example.com", "<EMAIL_ADDRESS_1>")
	expect(tokenize, chat("4", "a", "c"), "joe@example.org, jane.doe@example.com", "<EMAIL_ADDRESS_2>, <EMAIL_ADDRESS_1>")
	expect(restore, chat("5", "a", "c"), "<EMAIL_ADDRESS_2>", "joe@example.org")
	expect(restore, chat("5", "b", "c"), "<EMAIL_ADDRESS_2>", "<EMAIL_ADDRESS_2>")
}

// TestForeignTokens: opaque tokens and ciphertexts of another tenant or under
// another key stay, and so do those that were changed.
func TestForeignTokens(t *testing.T) {
	s := store.NewMemory(0, nil)
	for _, action := range []Action{Tokenize, Encrypt} {
		write := keyed(t, s, func(c *Config) { c.Action, c.Tokens.Style = action, Opaque })
		restore := keyed(t, s, func(c *Config) { c.Restore = true })
		token, _, err := passed(t, write, exchange("1", "a"), "jane.doe@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if got, dec, err := passed(t, restore, exchange("2", "a"), token); err != nil || got != "jane.doe@example.com" || dec.Actions.Of("restore") != 1 {
			t.Errorf("%s: put back as %q, %v", action, got, err)
		}
		if got, _, err := passed(t, restore, exchange("2", "b"), token); err != nil || got != token {
			t.Errorf("%s: another tenant got %q, %v", action, got, err)
		}
		for i := range token {
			changed := token[:i] + string(token[i]^1) + token[i+1:]
			if got, _, _ := passed(t, restore, exchange("2", "a"), changed); strings.Contains(got, "jane") && i < len(token)-1 {
				t.Errorf("%s: changed at %d, and put back", action, i)
			}
		}
		t.Setenv("PII_OTHER_KEY", strings.Repeat("x", 32))
		other := keyed(t, s, func(c *Config) { c.Restore = true; c.Key = filters.SecretRef{Env: "PII_OTHER_KEY"} })
		if got, _, _ := passed(t, other, exchange("2", "a"), token); got != token {
			t.Errorf("%s: under another key it is %q", action, got)
		}
	}
}

// TestRandomEncryption: with random, equal values come out different, and both
// can be put back.
func TestRandomEncryption(t *testing.T) {
	f := keyed(t, nil, func(c *Config) { c.Action, c.Random = Encrypt, true })
	restore := keyed(t, store.NewMemory(0, nil), func(c *Config) { c.Restore = true })
	a, _, _ := passed(t, f, exchange("1", "a"), "jane.doe@example.com")
	b, _, _ := passed(t, f, exchange("1", "a"), "jane.doe@example.com")
	if a == b {
		t.Error("two are equal")
	}
	if got, _, err := passed(t, restore, exchange("1", "a"), a+b); err != nil || got != "jane.doe@example.comjane.doe@example.com" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNothingInTheClear: neither keys nor values of the store hold what was
// tokenized, or who did.
func TestNothingInTheClear(t *testing.T) {
	s := &spy{Store: store.NewMemory(0, nil)}
	for _, style := range []Style{Numbered, Opaque} {
		f := keyed(t, s, func(c *Config) { c.Action, c.Tokens.Style = Tokenize, style })
		if _, _, err := passed(t, f, exchange("1", "tenant-of-jane"), "jane.doe@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.seen) < 5 {
		t.Fatalf("the store saw %q", s.seen)
	}
	for _, x := range s.seen {
		for _, never := range []string{"jane.doe", "example.com", "tenant-of", "EMAIL_ADDRESS"} {
			if strings.Contains(x, never) {
				t.Errorf("the store saw %q", x)
			}
		}
	}
}

// spy notes all that a store is given.
type spy struct {
	filters.Store
	seen []string
}

func (s *spy) Put(ctx context.Context, ttl time.Duration, es ...filters.Entry) error {
	for _, e := range es {
		s.seen = append(s.seen, e.Key, string(e.Value))
	}
	return s.Store.Put(ctx, ttl, es...)
}

func (s *spy) Number(ctx context.Context, ttl time.Duration, list, member string) (int64, error) {
	s.seen = append(s.seen, list, member)
	return s.Store.Number(ctx, ttl, list, member)
}

// broken is a store that is down.
type broken struct{ calls int }

var errDown = errors.New("down")

func (b *broken) Get(context.Context, ...string) ([][]byte, error) { b.calls++; return nil, errDown }
func (b *broken) Put(context.Context, time.Duration, ...filters.Entry) error {
	b.calls++
	return errDown
}
func (b *broken) Number(context.Context, time.Duration, string, string) (int64, error) {
	b.calls++
	return 0, errDown
}

// TestStoreDown: what cannot be kept is not tokenized, and the step fails;
// what cannot be put back stays, and the store is not asked again.
func TestStoreDown(t *testing.T) {
	down := &broken{}
	for _, style := range []Style{Numbered, Opaque} {
		f := keyed(t, down, func(c *Config) { c.Action, c.Tokens.Style = Tokenize, style })
		_, _, err := passed(t, f, exchange("1", "a"), "jane.doe@example.com")
		var failure *filters.Failure
		if !errors.As(err, &failure) || failure.Reason != "store" || strings.Contains(err.Error(), "jane") {
			t.Errorf("%s: %v", style, err)
		}
	}
	down.calls = 0
	f := keyed(t, down, func(c *Config) { c.Restore = true })
	s, err := f.Open(t.Context(), exchange("1", "a"), filters.Response)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		v := filters.Value{Kind: filters.String, Text: []byte("to <EMAIL_ADDRESS_1>")}
		if err := s.Value(t.Context(), &v); err != nil || len(v.Edits()) > 0 {
			t.Errorf("%v, %d edits", err, len(v.Edits()))
		}
	}
	dec, err := s.Close(t.Context(), &filters.Ledger{})
	if err != nil || dec.Verdict != filters.Passed || dec.Reason != "store" || down.calls != 1 {
		t.Errorf("%+v, %v, %d calls", dec, err, down.calls)
	}
}

// TestRestoreInPieces: a token that is cut is put back all the same, and what
// is put into a document that comes as pieces of text is escaped for it.
func TestRestoreInPieces(t *testing.T) {
	s := store.NewMemory(0, nil)
	tokenize := keyed(t, s, func(c *Config) { c.Action = Tokenize })
	opaque := keyed(t, s, func(c *Config) { c.Action, c.Tokens.Style = Tokenize, Opaque })
	encrypt := keyed(t, s, func(c *Config) { c.Action = Encrypt })
	restore := keyed(t, s, func(c *Config) { c.Restore = true })
	text := "to "
	for _, f := range []*filter{tokenize, opaque, encrypt} {
		token, _, err := passed(t, f, &filters.Exchange{}, "jane.doe@example.com")
		if err != nil {
			t.Fatal(err)
		}
		text += token + ", tok_, enc_A <A_ "
	}
	want := strings.Repeat("jane.doe@example.com, tok_, enc_A <A_ ", 3)
	for i := range text {
		for j := i; j < len(text); j += 5 {
			if got := inPieces(t, restore, text, filters.Text, i, j); got != "to "+want {
				t.Fatalf("cut at %d and %d: %q", i, j, got)
			}
		}
	}
}

func TestRestoreInArguments(t *testing.T) {
	s := store.NewMemory(0, nil)
	f := keyed(t, s, func(c *Config) { c.Restore = true })
	w, err := f.begin(exchange("1", "a"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.vault.tokenize(t.Context(), "PERSON", `Jane "JD" Doe`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key    string
		before string
		want   string
	}{
		{"partial_json", `{"to":"`, `Jane \"JD\" Doe`}, {"arguments", `{"to":"`, `Jane \"JD\" Doe`},
		{"content", "Dear ", `Jane "JD" Doe`},
	} {
		st, err := f.Open(t.Context(), exchange("1", "a"), filters.Response)
		if err != nil {
			t.Fatal(err)
		}
		v := filters.Value{Kind: filters.String, Key: c.key, Before: []byte(c.before), Text: token}
		if err := st.Value(t.Context(), &v); err != nil {
			t.Fatal(err)
		}
		if es := v.Edits(); len(es) != 1 || string(es[0].With) != c.want {
			t.Errorf("%s: %v", c.key, es)
		}
	}
}

// TestSynthetic: a made-up value is found as what it stands for, has the form
// of the value, and is never the value.
func TestSynthetic(t *testing.T) {
	sc, err := detect.New(detect.Options{MinScore: 0.3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		e     detect.Entity
		value string
		found bool
	}{
		{detect.Email, "jane.doe@example.com", true}, {detect.CreditCard, "4111 1111 1111 1111", true}, {detect.CreditCard, "378282246310005", true},
		{detect.IBAN, "GB29 NWBK 6016 1331 9268 19", true}, {detect.IBAN, "DE89370400440532013000", true}, {detect.IPAddress, "192.0.2.1", true},
		{detect.IPAddress, "2001:db8::1", true}, {detect.MACAddress, "00:1b:44:11:3a:b7", true}, {detect.USSSN, "078-05-1120", false}, {detect.Phone, "+1 202 555 0143", false},
	} {
		for n := range 200 {
			k := &keyring.Ring{Secret: filters.NewSecret(testKey), Tenant: fmt.Sprint(n)}
			got := string(synthesize(k, c.e, c.value))
			if got == c.value || got != string(synthesize(k, c.e, c.value)) {
				t.Fatalf("%s: %q for %q", c.e, got, c.value)
			}
			if c.e != detect.Email && c.e != detect.IPAddress && shapeOf(got) != shapeOf(c.value) {
				t.Errorf("%s: %q has not the form of %q", c.e, got, c.value)
			}
			if !c.found {
				continue
			}
			fs, _ := sc.Scan(nil, detect.Context{Key: map[detect.Entity]string{detect.CreditCard: "card"}[c.e]}, []byte(got), false)
			if len(fs) != 1 || fs[0].Entity != c.e || fs[0].End-fs[0].Start != len(got) {
				t.Errorf("%s: %q is found as %v", c.e, got, fs)
			}
		}
	}
}

// shapeOf has a 0 for each digit and an a or A for each letter.
func shapeOf(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'f':
			return '0'
		case r >= 'g' && r <= 'z':
			return 'a'
		case r >= 'A' && r <= 'Z':
			return 'A'
		}
		return r
	}, s)
}

func TestSyntheticNames(t *testing.T) {
	k := &keyring.Ring{Secret: filters.NewSecret(testKey)}
	for _, c := range []struct {
		e     detect.Entity
		value string
		words int
	}{
		{"PERSON", "Jane Doe", 2}, {"PERSON", "JANE DOE", 2}, {"PERSON", "jane", 1}, {"LOCATION", "Springfield", 1}, {"ORGANIZATION", "Acme Inc", 2},
	} {
		got := string(synthesize(k, c.e, c.value))
		if len(strings.Fields(got)) != c.words || strings.EqualFold(got, c.value) || (strings.ToUpper(c.value) == c.value) != (strings.ToUpper(got) == got) || (strings.ToLower(c.value) == c.value) != (strings.ToLower(got) == got) {
			t.Errorf("%s %q: %q", c.e, c.value, got)
		}
	}
	for _, v := range []string{"1980-02-29", "29.02.1980", "February 29, 1980"} {
		got := string(synthesize(k, "DATE_OF_BIRTH", v))
		if got == v || !strings.ContainsAny(got, "0123456789") {
			t.Errorf("%q: %q", v, got)
		}
	}
	if got := string(synthesize(k, "X", "--")); got != redactedText {
		t.Errorf("what has no other form became %q", got)
	}
}

// TestKeys: what a key is needed for does not go without, and a short one is
// refused.
func TestKeys(t *testing.T) {
	t.Setenv("PII_SHORT_KEY", "short")
	for name, edit := range map[string]func(*Config){
		"none": func(c *Config) { c.Key = filters.SecretRef{}; c.Action = Tokenize },
		"for a rule": func(c *Config) {
			c.Key = filters.SecretRef{}
			c.Rules = []Rule{{Treatment: Treatment{Action: Encrypt}}}
		},
		"to restore":    func(c *Config) { c.Key = filters.SecretRef{}; c.Restore = true },
		"short":         func(c *Config) { c.Key.Env = "PII_SHORT_KEY"; c.Action = Hash },
		"not set":       func(c *Config) { c.Key.Env = "PII_NO_KEY"; c.Action = Hash },
		"no store":      func(c *Config) { c.Action = Tokenize },
		"restore + do":  func(c *Config) { c.Restore, c.Action = true, Hash },
		"bad style":     func(c *Config) { c.Tokens.Style = "x" },
		"bad tenant":    func(c *Config) { c.Tenant = "x" },
		"bad threshold": func(c *Config) { c.Scores = map[string]float64{"CREDIT_CARD": 2} },
		"bad entity":    func(c *Config) { c.Scores = map[string]float64{"X": 0.5} },
	} {
		t.Setenv("PII_TEST_KEY", testKey)
		c := *Definition().Config().(*Config)
		c.Key = filters.SecretRef{Env: "PII_TEST_KEY"}
		edit(&c)
		err := c.Validate()
		if err == nil {
			_, err = build(c, filters.Env{Rand: rand.Reader})
		}
		var fe *filters.FieldError
		if !errors.As(err, &fe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{"PERSON": "PERSON", "employee-id": "EMPLOYEE_ID", "": "X", "9x": "X_X", strings.Repeat("a", 99): strings.Repeat("A", 40)} {
		if got := label(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
		token := fmt.Sprintf("<%s_%d>", label(in), 1<<40)
		if n, _ := numberedToken([]byte(token)); n != len(token) {
			t.Errorf("%q is no token", token)
		}
	}
}
