package examples_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
)

var update = flag.Bool("update", false, "write the generated examples anew")

// folder is where the program is built; TestMain makes and removes it.
var folder string

// binary builds the program once.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "sluice")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/sluice").CombinedOutput(); err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	return path, nil
})

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "sluice-examples-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// sluice runs the program, which has to succeed, and returns its output.
func sluice(t *testing.T, args ...string) []byte {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("sluice %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.Bytes()
}

// TestPatchesAreWhatGenKumaWrites: the files are the output of the commands
// that the README tells of.
func TestPatchesAreWhatGenKumaWrites(t *testing.T) {
	const socket = "--form socket --address unix:/run/sluice/sluice.sock"
	const service = "--form service --service sluice --port 9002"
	for file, args := range map[string]string{
		"universal-loopback.yaml":  "--app backend",
		"universal-socket.yaml":    "--app backend " + socket,
		"universal-service.yaml":   "--app backend " + service,
		"universal-gateway.yaml":   "--origin gateway",
		"universal-egress.yaml":    "--app backend --origin outbound --listener kri_extsvc_default_default__llm_",
		"kubernetes-loopback.yaml": "--target kubernetes --app backend",
		"kubernetes-socket.yaml":   "--target kubernetes --app backend " + socket,
		"kubernetes-service.yaml":  "--target kubernetes --app backend --namespace sluice " + service,
	} {
		t.Run(file, func(t *testing.T) {
			got := sluice(t, append([]string{"gen", "kuma", "--policies", "kong-mesh/policies"}, strings.Fields(args)...)...)
			path := filepath.Join("kong-mesh", file)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what `sluice gen kuma %s` writes (run with -update and review)", path, args)
			}
		})
	}
}

// TestTheBootstrapIsWhatGenEnvoyWrites: envoy.yaml is written by hand, with
// comments; its filter and cluster are what the policies need.
func TestTheBootstrapIsWhatGenEnvoyWrites(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gen.yaml")
	if err := os.WriteFile(file, sluice(t, "gen", "envoy", "--policies", "envoy/policies"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := fromGen(t, documents(t, file)[0])
	got := fromBootstrap(t, documents(t, "envoy/envoy.yaml")[0])
	if !proto.Equal(got.processor(t), want.processor(t)) {
		t.Errorf("the filter is\n%v\nand the policies need\n%v", got.processor(t), want.processor(t))
	}
	if !proto.Equal(got.cluster, want.cluster) {
		t.Errorf("the cluster is\n%v\nand gen writes\n%v", got.cluster, want.cluster)
	}
}

// TestPoliciesAreGood: those of the examples, and those inside a ConfigMap,
// pass the check, also for the mode that the configuration asks for.
func TestPoliciesAreGood(t *testing.T) {
	for _, dir := range []string{"envoy/policies", "kong-mesh/policies"} {
		sluice(t, "check", "--mode", "FULL_DUPLEX_STREAMED", dir)
	}
	n := 0
	for _, doc := range documents(t, "kubernetes/sluice.yaml") {
		data, _ := doc["data"].(map[string]any)
		for name, text := range data {
			n++
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(text.(string)), 0o600); err != nil {
				t.Fatal(err)
			}
			sluice(t, "check", file)
		}
	}
	if n == 0 {
		t.Error("there is no policy in the ConfigMap")
	}
}

// TestTheFlagsThere: the pods start the program with flags that it has.
func TestTheFlagsThere(t *testing.T) {
	help := string(sluice(t, "serve", "--help"))
	for _, file := range []string{"kubernetes/sluice.yaml", "kong-mesh/kubernetes-pod.yaml"} {
		for _, doc := range documents(t, file) {
			for _, list := range []string{"containers", "initContainers"} {
				args, _ := dig(doc, "spec", "template", "spec", list, 0, "args").([]any)
				for _, a := range args {
					name, _, isFlag := strings.Cut(a.(string), "=")
					if isFlag && !strings.Contains(help, name+" ") {
						t.Errorf("%s: there is no flag %s", file, name)
					}
				}
			}
		}
	}
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestCommandsInPages: what the pages call the program with works as it stands
// there, in the root of the repository; but for what needs another machine, and
// for serve, whose flags are there.
func TestCommandsInPages(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	help := string(sluice(t, "serve", "--help"))
	n := 0
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../policies/*/*.md", "*/*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range shellBlock.FindAllSubmatch(text, -1) {
				for line := range strings.SplitSeq(strings.ReplaceAll(string(block[1]), "\\\n", " "), "\n") {
					call, ok := strings.CutPrefix(strings.TrimSpace(line), "bin/sluice ")
					if !ok {
						continue
					}
					n++
					for _, end := range []string{"#", ">", "|", "&"} {
						call, _, _ = strings.Cut(call, " "+end)
					}
					args := strings.Fields(call)
					if args[0] == "serve" {
						for _, arg := range args {
							if strings.HasPrefix(arg, "--") && !strings.Contains(help, arg+" ") {
								t.Errorf("%s: there is no flag %s", page, arg)
							}
						}
						continue
					}
					cmd := exec.Command(path, args...)
					cmd.Dir = ".."
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%s: bin/sluice %s: %v\n%.2000s", page, call, err, out)
					}
				}
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d commands were found", n)
	}
}
