// Package vendors speaks the protocols of model vendors, by their own SDKs: one
// wire.Transport each. It knows what a vendor's error means and which hosts may
// be called. Nothing here decides whether to call again.
package vendors
