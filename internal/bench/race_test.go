//go:build race

package main

// underRace: the race detector allocates itself.
const underRace = true
