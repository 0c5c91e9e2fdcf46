package policies

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml/ast"

	"github.com/sluice-proxy/sluice/filters"
)

// declaration is a document, or a part of one, that is looked at when all the
// files have been read.
type declaration struct {
	d        *decoder
	spec     ast.Node
	provider Provider
}

// declare takes a Provider document.
func (b *build) declare(d *decoder, h header) {
	p := declaration{d: d, spec: h.Spec, provider: Provider{Name: h.Metadata.Name}}
	before := len(d.problems)
	d.decode(h.Spec, reflect.ValueOf(&p.provider.Spec).Elem(), "spec")
	if len(d.problems) == before {
		b.declared = append(b.declared, p)
	}
}

// providers builds the providers, or takes over those that are there already.
func (b *build) providers() {
	pool, err := b.loader.pool()
	if err != nil {
		b.problem("policies", err.Error())
		return
	}
	use, err := pool.Use(b.set.settings.Vault)
	if err != nil {
		if v := b.vault; v.d != nil {
			v.d.field(v.spec, "vault", err)
		} else {
			b.problem("settings", err.Error())
		}
		if use, err = pool.Use(nil); err != nil {
			return
		}
	}
	b.set.models = use
	b.sharing(use.Secrets())
	var good []declaration
	for _, p := range b.declared {
		if err := use.Add(p.provider.Name, p.provider.Spec); err != nil {
			p.d.field(p.spec, "", err)
			continue
		}
		good = append(good, p)
		b.set.providers = append(b.set.providers, p.provider)
	}
	for _, p := range good {
		if err := use.Check(p.provider.Name); err != nil {
			p.d.field(p.spec, "", err)
		}
		ref := p.provider.Spec.APIKey
		if ref == nil || ref.Vault != nil {
			continue // what is in Vault is read in the background
		}
		if _, err := use.Secrets().Secret(*ref); err != nil {
			// Where policies are checked, the keys need not be.
			p.d.at(p.d.find(p.spec, "apiKey"), "spec.apiKey", err.Error(), "calls fail until it is there")
			p.d.problems[len(p.d.problems)-1].Severity = SeverityWarning
		}
	}
}

// sharing checks the keys of what replicas share.
func (b *build) sharing(secrets filters.Secrets) {
	v := b.vault
	if v.d == nil {
		return
	}
	missing, bad := b.set.settings.Models.Check(secrets)
	for _, err := range bad {
		v.d.field(v.spec, "models", err)
	}
	for _, err := range missing {
		v.d.field(v.spec, "models", err)
		v.d.problems[len(v.d.problems)-1].Severity = SeverityWarning
	}
}

// field records an error at the field that it names, below path in spec.
// Several at once come joined.
func (d *decoder) field(spec ast.Node, path string, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			d.field(spec, path, e)
		}
		return
	}
	msg, hint := err.Error(), ""
	var fe *filters.FieldError
	if errors.As(err, &fe) {
		msg, hint = fe.Msg, fe.Hint
		switch {
		case path == "":
			path = fe.Path
		case fe.Path != "":
			path = fmt.Sprintf("%s.%s", path, fe.Path)
		}
	}
	if path == "" {
		d.at(spec, "spec", msg, hint)
		return
	}
	d.at(d.find(spec, path), "spec."+path, msg, hint)
}
