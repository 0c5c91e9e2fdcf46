package pipeline

import (
	"context"
	"sync"
	"time"
)

// budgetContext ends when a step's time is used up. The time runs only while
// the step does, and a timer is only started when somebody waits on Done: a
// step that just computes costs none.
type budgetContext struct {
	context.Context
	deadline time.Time

	mu    sync.Mutex
	done  chan struct{}
	timer *time.Timer
	stop  func() bool
	err   error
}

func newBudgetContext(parent context.Context, deadline time.Time) *budgetContext {
	return &budgetContext{Context: parent, deadline: deadline}
}

// Deadline implements context.Context.
func (c *budgetContext) Deadline() (time.Time, bool) {
	if d, ok := c.Context.Deadline(); ok && d.Before(c.deadline) {
		return d, true
	}
	return c.deadline, true
}

// Done implements context.Context.
func (c *budgetContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.end(context.DeadlineExceeded) })
		c.stop = context.AfterFunc(c.Context, func() { c.end(c.Context.Err()) })
	}
	return c.done
}

// Err implements context.Context.
func (c *budgetContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if err := c.Context.Err(); err != nil {
		return err
	}
	if c.done == nil && !time.Now().Before(c.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

func (c *budgetContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// release frees the timer.
func (c *budgetContext) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done != nil {
		c.timer.Stop()
		c.stop()
	}
}
