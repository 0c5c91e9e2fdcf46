// Package examples_test holds the examples to what they say.
package examples_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// documents reads every document of a YAML file.
func documents(t *testing.T, file string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	var docs []map[string]any
	for {
		var doc map[string]any
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return docs
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		docs = append(docs, doc)
	}
}

// dig follows names and indices into a document.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			list, _ := v.([]any)
			if p >= len(list) {
				return nil
			}
			v = list[p]
		}
	}
	return v
}

func TestEveryFileIsYAML(t *testing.T) {
	n := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".yaml") {
			n++
			if len(documents(t, path)) == 0 {
				t.Errorf("%s is empty", path)
			}
		}
		return err
	})
	if err != nil || n < 12 {
		t.Fatalf("%d files were read: %v", n, err)
	}
}

// TestPods: the probes lead to ports that there are, the policies are
// mounted, and a pod has time to drain.
func TestPods(t *testing.T) {
	for _, c := range []struct{ file, containers string }{
		{"kubernetes/sluice.yaml", "containers"},
		{"kong-mesh/kubernetes-pod.yaml", "initContainers"},
	} {
		t.Run(c.file, func(t *testing.T) {
			var pod, container any
			for _, doc := range documents(t, c.file) {
				if doc["kind"] == "Deployment" {
					pod = dig(doc, "spec", "template", "spec")
					container = dig(pod, c.containers, 0)
					if got, want := dig(doc, "spec", "selector", "matchLabels", "app"), dig(doc, "spec", "template", "metadata", "labels", "app"); got != want {
						t.Errorf("the selector %v does not choose the pods %v", got, want)
					}
				}
			}
			if dig(container, "name") != "sluice" {
				t.Fatal("there is no container of Sluice")
			}
			ports := map[any]any{}
			list, _ := dig(container, "ports").([]any)
			for _, p := range list {
				ports[dig(p, "name")] = dig(p, "containerPort")
			}
			for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
				get := dig(container, probe, "httpGet")
				if get == nil {
					continue
				}
				if ports[dig(get, "port")] != uint64(9003) {
					t.Errorf("%s goes to %v", probe, dig(get, "port"))
				}
				if p := dig(get, "path"); p != "/readyz" && p != "/healthz" {
					t.Errorf("%s asks for %v", probe, p)
				}
			}
			if s, ok := dig(pod, "terminationGracePeriodSeconds").(uint64); !ok || s <= 30 {
				t.Error("the pod is killed before it has drained")
			}
			volumes := map[any]bool{}
			list, _ = dig(pod, "volumes").([]any)
			for _, v := range list {
				volumes[dig(v, "name")] = true
			}
			list, _ = dig(container, "volumeMounts").([]any)
			mounted := false
			for _, m := range list {
				if !volumes[dig(m, "name")] {
					t.Errorf("there is no volume %v", dig(m, "name"))
				}
				mounted = mounted || dig(m, "mountPath") == "/etc/sluice/policies"
			}
			if !mounted {
				t.Error("the policies are not mounted")
			}
		})
	}
}
