// Package secret reads secrets from the environment, from files and from
// Vault (or OpenBao: KV version 2), and reads them again, so that a key that
// is rotated is in use without a restart.
package secret

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/sluice-proxy/sluice/filters"
)

// Vault is where Vault is, and how one logs in. Without a method, the token is
// that of VAULT_TOKEN or BAO_TOKEN.
type Vault struct {
	Address   string        `json:"address" doc:"Address of the server, https://vault:8200."`
	Namespace string        `json:"namespace,omitempty" doc:"Namespace."`
	CAFile    string        `json:"caFile,omitempty" doc:"File of the CA of the server's certificate, PEM; the system's CAs by default."`
	TokenFile string        `json:"tokenFile,omitempty" doc:"File of the token, as Vault Agent writes it; read again for every refresh."`
	AppRole   *AppRole      `json:"appRole,omitempty" doc:"Log in as an AppRole."`
	Refresh   time.Duration `json:"refresh,omitempty" doc:"How often secrets are read again; default 1m."`
}

// AppRole is a login by role and secret id.
type AppRole struct {
	Mount        string `json:"mount,omitempty" doc:"Mount of the method; default approle."`
	RoleID       string `json:"roleID" doc:"Id of the role; not a secret."`
	SecretIDFile string `json:"secretIDFile" doc:"File of the secret id."`
}

// Validate checks the configuration.
func (v *Vault) Validate() error {
	switch {
	case v == nil:
	case !strings.HasPrefix(v.Address, "https://") && !strings.HasPrefix(v.Address, "http://127.0.0.1") && !strings.HasPrefix(v.Address, "http://localhost"):
		return &filters.FieldError{Path: "address", Msg: "is not https", Hint: "secrets do not go over plain http, but to this machine"}
	case v.TokenFile != "" && v.AppRole != nil:
		return &filters.FieldError{Msg: "give one of tokenFile and appRole"}
	case v.AppRole != nil && (v.AppRole.RoleID == "" || v.AppRole.SecretIDFile == ""):
		return &filters.FieldError{Path: "appRole", Msg: "needs roleID and secretIDFile"}
	}
	return nil
}

const (
	// firstWithin is how long the first read of a secret in Vault is waited
	// for.
	firstWithin = 2 * time.Second
	callWithin  = 10 * time.Second
	retryEvery  = 5 * time.Second
)

var errNotYet = errors.New("the secret has not been read from Vault yet")

// Source reads secrets. It is used by many at once.
type Source struct {
	vault  *Vault
	client *api.Client
	log    *slog.Logger
	stop   context.CancelFunc
	wake   chan struct{}
	done   chan struct{}

	mu    sync.Mutex
	files map[string]filters.Secret // the last that was read
	held  map[filters.VaultRef]*held
}

// held is a secret of Vault's.
type held struct {
	value filters.Secret
	err   error
	tried chan struct{} // closed after the first try
	once  sync.Once
}

// New returns a source. v is nil where there is no Vault.
func New(v *Vault, log *slog.Logger) (*Source, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Source{vault: v, log: log, files: map[string]filters.Secret{}, held: map[filters.VaultRef]*held{}}
	if v == nil {
		return s, nil
	}
	if err := v.Validate(); err != nil {
		return nil, err
	}
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, fmt.Errorf("configuring Vault: %w", cfg.Error)
	}
	cfg.Address, cfg.MaxRetries, cfg.Timeout = v.Address, 1, callWithin
	if v.CAFile != "" {
		if err := cfg.ConfigureTLS(&api.TLSConfig{CACert: v.CAFile}); err != nil {
			return nil, &filters.FieldError{Path: "caFile", Msg: err.Error()}
		}
	}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("configuring Vault: %w", err)
	}
	if err := client.SetAddress(v.Address); err != nil { // the environment does not overrule the settings
		return nil, &filters.FieldError{Path: "address", Msg: "is no address"}
	}
	if v.Namespace != "" {
		client.SetNamespace(v.Namespace)
	}
	if client.Token() == "" {
		client.SetToken(os.Getenv("VAULT_TOKEN"))
	}
	s.client = client
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.wake, s.done = stop, make(chan struct{}, 1), make(chan struct{})
	go s.refresh(ctx)
	return s, nil
}

// Close ends what runs in the background.
func (s *Source) Close() {
	if s.stop != nil {
		s.stop()
		<-s.done
	}
}

// Secret implements filters.Secrets: the secret as it is now. Where it cannot
// be read any more, it is the last that was.
func (s *Source) Secret(ref filters.SecretRef) (filters.Secret, error) {
	if err := ref.Validate(); err != nil {
		return filters.Secret{}, err
	}
	if ref.Vault == nil {
		v, err := ref.Read()
		if ref.File == "" {
			return v, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			if last, ok := s.files[ref.File]; ok {
				return last, nil
			}
			return v, err
		}
		s.files[ref.File] = v
		return v, nil
	}
	if s.client == nil {
		return filters.Secret{}, errors.New("no vault is configured: set vault in the settings")
	}
	h, first := s.hold(*ref.Vault)
	if first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	select {
	case <-h.tried:
	case <-time.After(firstWithin):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !h.value.Empty() {
		return h.value, nil
	}
	if h.err != nil {
		return filters.Secret{}, h.err
	}
	return filters.Secret{}, errNotYet
}

// Watch begins to read a secret, so that it is there when it is needed. It
// does not wait.
func (s *Source) Watch(ref filters.SecretRef) {
	if ref.Vault == nil || s.client == nil {
		return
	}
	if _, first := s.hold(*ref.Vault); first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *Source) hold(ref filters.VaultRef) (h *held, first bool) {
	if ref.Mount == "" {
		ref.Mount = "secret"
	}
	if ref.Field == "" {
		ref.Field = "value"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.held[ref]
	if !ok {
		h = &held{tried: make(chan struct{})}
		s.held[ref] = h
	}
	return h, !ok
}

// refresh reads every secret again and again.
func (s *Source) refresh(ctx context.Context) {
	defer close(s.done)
	every := s.vault.Refresh
	if every <= 0 {
		every = time.Minute
	}
	loggedIn := false
	for {
		wait := every
		if err := s.readAll(ctx, &loggedIn); err != nil && ctx.Err() == nil {
			// The error names a path and a status, and no secret.
			s.log.Warn("reading secrets from Vault", "error", err.Error())
			wait = min(wait, retryEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-time.After(wait):
		}
	}
}

func (s *Source) readAll(ctx context.Context, loggedIn *bool) error {
	s.mu.Lock()
	refs := make(map[filters.VaultRef]*held, len(s.held))
	for ref, h := range s.held {
		refs[ref] = h
	}
	s.mu.Unlock()
	if len(refs) == 0 {
		return nil
	}
	err := s.login(ctx, loggedIn)
	var failed error
	for ref, h := range refs {
		v, rerr := filters.Secret{}, err
		if err == nil {
			v, rerr = s.read(ctx, ref)
			var re *api.ResponseError
			if errors.As(rerr, &re) && re.StatusCode == 403 && s.vault.AppRole != nil {
				// The token may have expired.
				*loggedIn = false
				if rerr = s.login(ctx, loggedIn); rerr == nil {
					v, rerr = s.read(ctx, ref)
				}
			}
		}
		s.mu.Lock()
		if h.err = rerr; rerr == nil {
			h.value = v
		} else {
			failed = rerr
		}
		s.mu.Unlock()
		h.once.Do(func() { close(h.tried) })
	}
	return failed
}

func (s *Source) login(ctx context.Context, loggedIn *bool) error {
	if f := s.vault.TokenFile; f != "" {
		t, err := filters.SecretRef{File: f}.Read()
		if err != nil {
			return fmt.Errorf("reading Vault's token: %w", err)
		}
		s.client.SetToken(t.Reveal())
		return nil
	}
	role := s.vault.AppRole
	if role == nil || *loggedIn {
		return nil
	}
	id, err := filters.SecretRef{File: role.SecretIDFile}.Read()
	if err != nil {
		return fmt.Errorf("reading the secret id: %w", err)
	}
	mount := role.Mount
	if mount == "" {
		mount = "approle"
	}
	got, err := s.client.Logical().WriteWithContext(ctx, "auth/"+mount+"/login", map[string]any{"role_id": role.RoleID, "secret_id": id.Reveal()})
	if err != nil {
		return fmt.Errorf("logging in to Vault: %w", status(err))
	}
	if got == nil || got.Auth == nil {
		return errors.New("logging in to Vault: there is no token in the answer")
	}
	s.client.SetToken(got.Auth.ClientToken)
	*loggedIn = true
	return nil
}

func (s *Source) read(ctx context.Context, ref filters.VaultRef) (filters.Secret, error) {
	kv, err := s.client.KVv2(ref.Mount).Get(ctx, ref.Path)
	if err != nil {
		return filters.Secret{}, fmt.Errorf("reading %s/%s from Vault: %w", ref.Mount, ref.Path, status(err))
	}
	v, ok := kv.Data[ref.Field].(string)
	if !ok || v == "" {
		return filters.Secret{}, fmt.Errorf("reading %s/%s from Vault: it has no field %q", ref.Mount, ref.Path, ref.Field)
	}
	return filters.NewSecret(v), nil
}

// status leaves of a server's error its status: its text quotes addresses and
// whatever the server says.
func status(err error) error {
	var re *api.ResponseError
	switch {
	case errors.As(err, &re):
		return &api.ResponseError{HTTPMethod: re.HTTPMethod, URL: "", StatusCode: re.StatusCode}
	case errors.Is(err, api.ErrSecretNotFound):
		return errors.New("it is not there")
	}
	return errors.New("the server cannot be reached")
}
