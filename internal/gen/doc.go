// Package gen writes the data plane's side of a policy set: the ext_proc
// filter and its cluster for Envoy, and the MeshProxyPatch for Kuma and Kong
// Mesh.
//
// The configuration asks for what these policies need and no more: phases
// that no step looks at are not sent, so they cost nothing. It is built as
// the data plane's own protobuf types and only then written as YAML, so that
// it is valid by construction.
//
// Plan holds the choice; its rules are beside its fields.
package gen
