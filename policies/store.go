package policies

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

const (
	// settle is how long a change is left to settle before the files are read:
	// editors and kubelets write in several steps.
	settle = 100 * time.Millisecond
	// pollEvery is how often the files are looked at where no event came: some
	// file systems send none.
	pollEvery = 5 * time.Second
	// retireAfter is how long a replaced set lives on for the exchanges that
	// are pinned to it.
	retireAfter = 10 * time.Minute
)

// Store keeps the Set in force.
type Store struct {
	loader *Loader
	paths  []string
	set    atomic.Pointer[Set]
	// opened is what the files were like before they were loaded first.
	opened string
	// problems are those of that load.
	problems []Problem
	reload   sync.Mutex
	// OnReload is told of every load after the first: the set in force, and
	// the problems. refused: the files' set is not in force because of them.
	// Set it before Watch.
	OnReload func(set *Set, problems []Problem, refused bool)
}

// LoadError is the error of Open for policies that have problems.
type LoadError struct{ Problems []Problem }

// Error implements error.
func (e *LoadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Open loads the policies in paths. Its error is a *LoadError.
func Open(ctx context.Context, loader *Loader, paths ...string) (*Store, error) {
	s := &Store{loader: loader, paths: paths}
	s.opened = s.fingerprint()
	set, problems := loader.Load(ctx, paths...)
	if set == nil {
		return nil, &LoadError{problems}
	}
	s.set.Store(set)
	s.problems = problems
	return s, nil
}

// Problems returns the warnings of the first load. OnReload is told of those of
// later ones.
func (s *Store) Problems() []Problem { return s.problems }

// Current returns the set in force.
func (s *Store) Current() *Set { return s.set.Load() }

// Begin pins an exchange to the set in force, identifies its caller and
// returns the steps that apply to it.
func (s *Store) Begin(ctx context.Context, ex *filters.Exchange) (pipeline.Chains, pipeline.Limits) {
	return s.set.Load().Begin(ctx, ex)
}

// Reload loads the files again. A set with an error is refused, and the one
// in force stays.
func (s *Store) Reload(ctx context.Context) {
	s.reload.Lock()
	defer s.reload.Unlock()
	old := s.set.Load()
	set, problems := s.loader.Load(ctx, s.paths...)
	switch {
	case ctx.Err() != nil:
		return
	case set == nil:
		set = old
		if s.OnReload != nil {
			s.OnReload(old, problems, true)
		}
		return
	case set.version == old.version:
		set.close()
		return
	}
	s.set.Store(set)
	time.AfterFunc(retireAfter, old.close)
	if s.OnReload != nil {
		s.OnReload(set, problems, false)
	}
}

// Watch reloads when the files change, until ctx ends. It watches folders,
// not files: a ConfigMap is changed by swapping a symbolic link beside them.
func (s *Store) Watch(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching the policies: %w", err)
	}
	defer func() { _ = w.Close() }()
	var errs []error
	for _, p := range s.paths {
		dir := p
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			dir = filepath.Dir(p)
		}
		if err := w.Add(dir); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == len(s.paths) {
		return fmt.Errorf("watching the policies: %w", errors.Join(errs...))
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	seen := s.fingerprint()
	var due <-chan time.Time
	if seen != s.opened { // they changed before anybody watched
		due = time.After(settle)
	}
	// beside: a file that is no policy has changed since the last read. It may be
	// one that a policy reads, or a log: what changes all the time is read at the
	// next poll.
	beside, read := false, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Events:
			if !ok {
				return nil
			}
			if due == nil {
				due = time.After(settle)
			}
		case <-w.Errors:
			// Events may have been lost; the next poll finds out.
		case <-due:
			due = nil
			now := s.fingerprint()
			if beside = now == seen && time.Since(read) < pollEvery; beside {
				continue
			}
			seen, read = now, time.Now()
			s.Reload(ctx)
		case <-poll.C:
			if now := s.fingerprint(); now != seen || beside {
				seen, read, beside = now, time.Now(), false
				s.Reload(ctx)
			}
		}
	}
}

// fingerprint changes when a file does, or when a symbolic link leads to
// another one: files that are written together may be of one size and time.
func (s *Store) fingerprint() string {
	var b strings.Builder
	probe := build{names: map[string]string{}}
	for _, f := range probe.files(s.paths) {
		if info, err := os.Stat(f); err == nil {
			at, _ := filepath.EvalSymlinks(f)
			fmt.Fprintf(&b, "%s %s %d %d\n", f, at, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}
