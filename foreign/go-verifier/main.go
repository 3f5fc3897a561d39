// Command go-verifier verifies a transparency log that Tacet exported (C2SP tlog-tiles), by the libraries of Go's module checksum database and by
// no line of Tacet's own. It believes the key that it is given, and derives all else from the entry bundles.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is the height of a tile in tlog-tiles: 256 hashes.
const tileHeight = 8

// fileBytesMax bounds what is read of one file: 256 entries of 65,535 bytes.
const fileBytesMax = 256 * (2 + 65535)

type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

// readAll reads a file of the log, which has a bound.
func readAll(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > fileBytesMax {
		return nil, errors.New("it is too long")
	}
	return os.ReadFile(path)
}

// openCheckpoint verifies a signed checkpoint of the log and reads it.
func openCheckpoint(path string, verifier note.Verifier) (checkpoint, error) {
	raw, err := readAll(path)
	if err != nil {
		return checkpoint{}, err
	}
	signed, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return checkpoint{}, err
	}
	for _, signature := range append(signed.Sigs, signed.UnverifiedSigs...) {
		// The library takes stray bits at the end; a signature has one spelling.
		if _, err := base64.StdEncoding.Strict().DecodeString(signature.Base64); err != nil {
			return checkpoint{}, fmt.Errorf("a signature of %s is not spelt as it must be", signature.Name)
		}
	}
	lines := strings.Split(strings.TrimSuffix(signed.Text, "\n"), "\n")
	if len(lines) < 3 {
		return checkpoint{}, errors.New("fewer than three lines")
	}
	if lines[0] != verifier.Name() {
		return checkpoint{}, fmt.Errorf("it is of %q", lines[0])
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return checkpoint{}, fmt.Errorf("%q is not a size", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return checkpoint{}, err
	}
	for _, line := range lines[3:] {
		if line == "" {
			return checkpoint{}, errors.New("an empty line in its text")
		}
	}
	return checkpoint{lines[0], size, root}, nil
}

// tilePath is the path of a tile as tlog-tiles has it: without the height, which the path of the checksum database names.
func tilePath(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

// hashes are all hashes of the tree, by their stored index.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(h)) {
			return nil, fmt.Errorf("hash %d is not there", index)
		}
		out[i] = h[index]
	}
	return out, nil
}

// derive makes every hash of the tree from the bundles.
func derive(directory string, size int64) (hashes, error) {
	var all hashes
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		if tile.L != 0 {
			continue
		}
		name := "tile/entries/" + strings.TrimPrefix(tilePath(tile), "tile/0/")
		bundle, err := readAll(filepath.Join(directory, name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for entry := 0; entry < tile.W; entry++ {
			if len(bundle) < 2 {
				return nil, fmt.Errorf("%s: it ends before entry %d", name, entry)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			if len(bundle) < 2+length {
				return nil, fmt.Errorf("%s: it ends in entry %d", name, entry)
			}
			number := tile.N<<tileHeight + int64(entry)
			more, err := tlog.StoredHashes(number, bundle[2:2+length], all)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
			bundle = bundle[2+length:]
		}
		if len(bundle) != 0 {
			return nil, fmt.Errorf("%s: %d bytes behind its last entry", name, len(bundle))
		}
	}
	return all, nil
}

// holdTiles compares every tile with what was derived.
func holdTiles(directory string, size int64, all hashes) error {
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		name := tilePath(tile)
		found, err := readAll(filepath.Join(directory, name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		derived, err := tlog.ReadTileData(tile, all)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !bytes.Equal(found, derived) {
			return fmt.Errorf("%s: it is not what the entries give", name)
		}
	}
	return nil
}

// holdRoot compares the tree over the first entries with a checkpoint.
func holdRoot(point checkpoint, all hashes) error {
	derived, err := tlog.TreeHash(point.size, all)
	if err != nil {
		return err
	}
	if derived != point.root {
		return fmt.Errorf("the first %d entries give root %s, and the checkpoint says %s", point.size, derived, point.root)
	}
	return nil
}

func verify(directory, key string, known []string) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	point, err := openCheckpoint(filepath.Join(directory, "checkpoint"), verifier)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	all, err := derive(directory, point.size)
	if err != nil {
		return err
	}
	if err := holdTiles(directory, point.size, all); err != nil {
		return err
	}
	if err := holdRoot(point, all); err != nil {
		return err
	}
	for _, path := range known {
		before, err := openCheckpoint(path, verifier)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if before.size > point.size {
			return fmt.Errorf("%s has %d entries and the log only %d: it was set back", path, before.size, point.size)
		}
		if err := holdRoot(before, all); err != nil {
			return fmt.Errorf("%s: history was changed: %w", path, err)
		}
	}
	fmt.Printf("%d entries of %s, root %s\n", point.size, point.origin, point.root)
	return nil
}

type paths []string

func (p *paths) String() string { return strings.Join(*p, " ") }

func (p *paths) Set(path string) error {
	*p = append(*p, path)
	return nil
}

func main() {
	var known paths
	directory := flag.String("log", "", "directory of the exported log")
	key := flag.String("key", "", "the log's key, as `tacet ledger key` prints it")
	flag.Var(&known, "known", "file of a checkpoint that was kept elsewhere; may be given several times")
	flag.Parse()
	if *directory == "" || *key == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := verify(*directory, *key, known); err != nil {
		fmt.Println("WRONG", err)
		os.Exit(1)
	}
}
