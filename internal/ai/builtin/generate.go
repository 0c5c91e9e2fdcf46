package builtin

//go:generate go run ./train
