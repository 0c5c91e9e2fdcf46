package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// The usual ports, as envoy.yaml has them.
const (
	envoyPort       = 10000
	envoyAdminPort  = 9901
	sluicePort      = 9002
	sluiceAdminPort = 9003
	backendPort     = 8080
)

// ports says which port is used for each of the usual ones.
type ports map[int]int

func choosePorts() (ports, error) {
	p := ports{}
	used := map[int]bool{}
	for _, usual := range []int{envoyPort, envoyAdminPort, sluicePort, sluiceAdminPort, backendPort} {
		port, err := free(usual)
		for err == nil && used[port] {
			port, err = free(0)
		}
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		p[usual], used[port] = port, true
	}
	return p, nil
}

// free returns the port where nobody listens on it, else one of the system's
// choice.
func free(port int) (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		if port == 0 {
			return 0, err
		}
		return free(0)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (p ports) addr(usual int) string { return "127.0.0.1:" + strconv.Itoa(p[usual]) }

// writeConfig copies Envoy's configuration with the ports in it.
func (p ports) writeConfig(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("reading Envoy's configuration: %w", err)
	}
	var pairs []string
	for usual, port := range p {
		was := "port_value: " + strconv.Itoa(usual)
		if usual != sluiceAdminPort && !strings.Contains(string(text), was+"\n") {
			return fmt.Errorf("%s has no %q", from, was)
		}
		pairs = append(pairs, was+"\n", "port_value: "+strconv.Itoa(port)+"\n")
	}
	if err := os.WriteFile(to, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600); err != nil {
		return fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	return nil
}

func (p ports) print(policies, logs string) {
	fmt.Printf(`Running until Ctrl-C. Try

  curl -s http://%[1]s/v1/customers                                # a partner's view
  curl -s -H 'x-api-key: demo-support' http://%[1]s/v1/customers   # support's
  curl -s http://%[2]s/v1/customers                                 # the backend itself

  policies   %[3]s (edit one: it is reloaded)
  Sluice     http://%[4]s/policies  /metrics  /version
  Envoy      http://%[5]s/stats?filter=ext_proc
  logs       %[6]s (sluice.log has a line for every decision)

`, p.addr(envoyPort), p.addr(backendPort), policies, p.addr(sluiceAdminPort), p.addr(envoyAdminPort), logs)
}
