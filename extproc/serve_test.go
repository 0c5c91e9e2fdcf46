package extproc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
)

// served is a server that listens.
type served struct {
	*extproc.Server
	addrs []net.Addr
	stop  context.CancelFunc
	done  chan error
}

func serve(t *testing.T, s *extproc.Server, ls ...extproc.Listener) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	up := make(chan []net.Addr, 1)
	x := &served{Server: s, stop: cancel, done: make(chan error, 1)}
	go func() { x.done <- s.Serve(ctx, func(a []net.Addr) { up <- a }, ls...) }()
	select {
	case x.addrs = <-up:
	case err := <-x.done:
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("the server does not listen")
	}
	return x
}

func (s *served) ended(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the server does not end")
	}
}

func connect(t *testing.T, target string, creds credentials.TransportCredentials) *client {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn}
}

func plain() credentials.TransportCredentials { return insecure.NewCredentials() }

// TestListeners: TCP and a Unix socket, health and reflection.
func TestListeners(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "s")
	s := serve(t, extproc.New(one(t, filters.Request, mask), extproc.Options{}),
		extproc.Listener{Address: "127.0.0.1:0"}, extproc.Listener{Address: "unix:" + sock})
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
	for _, target := range []string{s.addrs[0].String(), "unix:" + sock} {
		c := connect(t, target, plain())
		x := c.open(plane{modes: [2]bodyMode{fullDuplex, none}})
		res, err := x.play(filters.Request, message{headers: append(post("/"), jsonType...), body: document})
		if err != nil || res.body != maskedDocument {
			t.Errorf("%v, %s", err, res.body)
		}
		if err := x.end(); err != nil {
			t.Error(err)
		}
		for _, service := range []string{"", extprocv3.ExternalProcessor_ServiceDesc.ServiceName} {
			h, err := healthv1.NewHealthClient(c.conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
			if err != nil || h.GetStatus() != healthv1.HealthCheckResponse_SERVING {
				t.Errorf("health of %q: %v, %s", service, err, h.GetStatus())
			}
		}
		rs, err := reflectionv1.NewServerReflectionClient(c.conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := rs.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		list, err := rs.Recv()
		if err != nil || len(list.GetListServicesResponse().GetService()) < 2 {
			t.Errorf("reflection: %v, %v", err, list)
		}
		if err := rs.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := rs.Recv(); err == nil {
			t.Error("reflection goes on")
		}
	}
	if err := extproc.New(&steps{}, extproc.Options{}).Serve(t.Context(), nil, extproc.Listener{Address: "unix:" + sock}); err == nil {
		t.Error("a socket in use was taken over")
	}
	s.stop()
	s.ended(t)
	if s.Ready() == nil {
		t.Error("a server that has ended is ready")
	}
}

// TestSocketLeftBehind: the socket of a process that is gone is replaced.
func TestSocketLeftBehind(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "s")
	lis, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	lis.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = lis.Close()
	if _, err := os.Stat(sock); err != nil {
		t.Fatal(err)
	}
	s := serve(t, extproc.New(&steps{}, extproc.Options{}), extproc.Listener{Address: "unix:" + sock})
	s.stop()
	s.ended(t)
}

// TestDrain: exchanges in flight end as if nothing were, new ones are not
// taken, and who does not end is cut.
func TestDrain(t *testing.T) {
	t.Run("in flight", func(t *testing.T) {
		s := serve(t, extproc.New(one(t, filters.Request, mask), extproc.Options{}), extproc.Listener{Address: "127.0.0.1:0"})
		c := connect(t, s.addrs[0].String(), plain())
		x := c.open(plane{modes: [2]bodyMode{streamed, none}})
		res := &result{}
		exchangeStep := func(m *extprocv3.ProcessingRequest) reply {
			t.Helper()
			if err := x.send(m); err != nil {
				t.Fatal(err)
			}
			r, err := x.recv(filters.Request, res)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		exchangeStep(headersOf(filters.Request, append(post("/"), jsonType...), false))
		s.stop()
		for end := time.Now().Add(30 * time.Second); s.Ready() == nil && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		r := exchangeStep(bodyOf(filters.Request, document, true))
		if got, err := apply(document, r.body); err != nil || got != maskedDocument {
			t.Errorf("%v, %s", err, got)
		}
		select {
		case <-s.done:
			t.Error("the server did not wait")
		default:
		}
		if err := x.end(); err != nil {
			t.Error(err)
		}
		s.ended(t)
	})
	t.Run("cut", func(t *testing.T) {
		b := &book{}
		s := serve(t, extproc.New(&steps{}, extproc.Options{DrainTimeout: 50 * time.Millisecond, Metrics: b, Recorder: b}), extproc.Listener{Address: "127.0.0.1:0"})
		x := connect(t, s.addrs[0].String(), plain()).open(plane{modes: [2]bodyMode{streamed, none}})
		if err := x.send(headersOf(filters.Request, post("/"), false)); err != nil {
			t.Fatal(err)
		}
		if err := x.awaitHeaders(filters.Request, &result{}); err != nil {
			t.Fatal(err)
		}
		s.stop()
		s.ended(t)
		b.await(t, "the exchange's end", func(b *book) bool { return b.closed == 1 && len(b.summaries) == 1 })
	})
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{n: 1}
	a.cert, a.key = a.sign(t, "ca", true)
	return a
}

func (a *authority) sign(t *testing.T, name string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.n++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: ca, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := tmpl, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(t *testing.T, cert *x509.Certificate, key *ecdsa.PrivateKey, certFile, keyFile string) {
	t.Helper()
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if key == nil {
		return
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTLS: a client certificate is asked for where there is a CA for it, and
// a new certificate is used without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca := newAuthority(t)
	ca.write(t, ca.cert, nil, file("ca.pem"), "")
	cert, key := ca.sign(t, "first", false)
	ca.write(t, cert, key, file("cert.pem"), file("key.pem"))
	s := serve(t, extproc.New(&steps{}, extproc.Options{}), extproc.Listener{
		Address: "127.0.0.1:0", TLS: &extproc.TLSFiles{Cert: file("cert.pem"), Key: file("key.pem"), ClientCA: file("ca.pem")},
	})
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	clientCert, clientKey := ca.sign(t, "data plane", false)
	// check makes an exchange on a connection of its own and returns the
	// server's name.
	check := func(with *authority) (string, error) {
		name := ""
		cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, VerifyConnection: func(c tls.ConnectionState) error {
			name = c.PeerCertificates[0].Subject.CommonName
			return nil
		}}
		if with != nil {
			cc, ck := clientCert, clientKey
			if with != ca {
				cc, ck = with.sign(t, "stranger", false)
			}
			cfg.Certificates = []tls.Certificate{{Certificate: [][]byte{cc.Raw}, PrivateKey: ck}}
		}
		_, err := healthv1.NewHealthClient(connect(t, s.addrs[0].String(), credentials.NewTLS(cfg)).conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
		return name, err
	}
	if name, err := check(ca); err != nil || name != "first" {
		t.Errorf("%v, %q", err, name)
	}
	if _, err := check(nil); err == nil {
		t.Error("no client certificate, and served")
	}
	if _, err := check(newAuthority(t)); err == nil {
		t.Error("a stranger's certificate, and served")
	}
	cert, key = ca.sign(t, "second", false)
	ca.write(t, cert, key, file("cert.pem"), file("key.pem"))
	name := ""
	for end := time.Now().Add(30 * time.Second); name != "second" && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var err error
		if name, err = check(ca); err != nil {
			t.Fatal(err)
		}
	}
	if name != "second" {
		t.Error("the new certificate is not used")
	}
	if err := os.WriteFile(file("cert.pem"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // the files are looked at once a second
	if name, err := check(ca); err != nil || name != "second" {
		t.Errorf("files that do not load: %v, %q", err, name)
	}
}
