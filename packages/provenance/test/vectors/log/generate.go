// Makes go.json: trees, proofs and notes by the implementations of the Go checksum database and of its successors.
//
//	go mod init vectors && go get golang.org/x/mod@v0.43.0 github.com/transparency-dev/formats@v0.1.1 && go run . > go.json
//
// Roots and proofs come from golang.org/x/mod/sumdb/tlog, notes from golang.org/x/mod/sumdb/note, cosignatures and ECDSA from
// github.com/transparency-dev/formats/note. Everything but the ECDSA key and the time of the cosignature is the same on each run.
package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type tree struct {
	Size        int64  `json:"size"`
	Root        string `json:"root"`
	Inclusion   string `json:"inclusion"`   // SHA-256 of the proofs of every entry in the tree of this size, one after another
	Consistency string `json:"consistency"` // SHA-256 of the proofs that the trees of 1 to size entries are its beginning
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func write(h hash.Hash, proof []tlog.Hash) {
	fmt.Fprintf(h, "%d\n", len(proof))
	for _, one := range proof {
		h.Write(one[:])
	}
}

func main() {
	var store []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, store[i])
		}
		return out, nil
	})
	const sizes = 70
	var trees []tree
	for n := int64(0); n < sizes; n++ {
		hashes, err := tlog.StoredHashes(n, []byte(fmt.Sprintf("entry %d", n)), reader)
		must(err)
		store = append(store, hashes...)
		size := n + 1
		root, err := tlog.TreeHash(size, reader)
		must(err)
		one := tree{Size: size, Root: root.String()}
		inclusion, consistency := sha256.New(), sha256.New()
		for i := int64(0); i < size; i++ {
			proof, err := tlog.ProveRecord(size, i, reader)
			must(err)
			write(inclusion, proof)
		}
		for first := int64(1); first <= size; first++ {
			proof, err := tlog.ProveTree(size, first, reader)
			must(err)
			write(consistency, proof)
		}
		one.Inclusion = base64.StdEncoding.EncodeToString(inclusion.Sum(nil))
		one.Consistency = base64.StdEncoding.EncodeToString(consistency.Sum(nil))
		trees = append(trees, one)
	}

	// Tiles of height 8 for a tree of 70,000 entries: which there are, and what is in the last ones.
	store = nil
	const large = 70000
	for n := int64(0); n < large; n++ {
		hashes, err := tlog.StoredHashes(n, []byte(fmt.Sprintf("entry %d", n)), reader)
		must(err)
		store = append(store, hashes...)
	}
	largeRoot, err := tlog.TreeHash(large, reader)
	must(err)
	type tile struct {
		Path   string `json:"path"`
		Sha256 string `json:"sha256"`
	}
	var tiles []tile
	for _, t := range tlog.NewTiles(8, 0, large) {
		data, err := tlog.ReadTileData(t, reader)
		must(err)
		sum := sha256.Sum256(data)
		path := "tile/" + strings.TrimPrefix(t.Path(), "tile/8/")
		tiles = append(tiles, tile{path, base64.StdEncoding.EncodeToString(sum[:])})
	}

	seed := sha256.Sum256([]byte("parapet"))
	key := ed25519.NewKeyFromSeed(seed[:])
	public := key.Public().(ed25519.PublicKey)
	name := "example.com/log"
	skey := func(kind byte, name string) string {
		vk, err := note.NewEd25519VerifierKey(name, public)
		must(err)
		if kind == 1 {
			hash := strings.Split(vk, "+")[1]
			return "PRIVATE+KEY+" + name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...))
		}
		sum := sha256.Sum256(append([]byte(name+"\n"), append([]byte{kind}, public...)...))
		return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, binary.BigEndian.Uint32(sum[:]), base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	}
	vkey, err := note.NewEd25519VerifierKey(name, public)
	must(err)
	signer, err := note.NewSigner(skey(1, name))
	must(err)
	root, err := base64.StdEncoding.DecodeString(trees[sizes-1].Root)
	must(err)
	text := fmt.Sprintf("%s\n%d\n%s\n", name, sizes, base64.StdEncoding.EncodeToString(root))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	must(err)

	witness := "witness.example/one"
	ws, err := fnote.NewSignerForCosignatureV1(skey(1, witness))
	must(err)
	opened, err := note.Open(signed, note.VerifierList(mustVerifier(vkey)))
	must(err)
	cosigned, err := note.Sign(opened, ws)
	must(err)
	wsum := append([]byte{4}, public...)
	widsum := sha256.Sum256(append([]byte(witness+"\n"), wsum...))
	wvkey := fmt.Sprintf("%s+%08x+%s", witness, binary.BigEndian.Uint32(widsum[:]), base64.StdEncoding.EncodeToString(wsum))
	wv, err := fnote.NewVerifierForCosignatureV1(mustEd(witness, public))
	must(err)
	again, err := note.Open(cosigned, note.VerifierList(wv))
	must(err)
	when, err := fnote.CoSigV1Timestamp(again.Sigs[0])
	must(err)

	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	must(err)
	dersum := sha256.Sum256(der)
	ecname := "ecdsa.example"
	evkey := fmt.Sprintf("%s+%08x+%s", ecname, binary.BigEndian.Uint32(dersum[:]), base64.StdEncoding.EncodeToString(append([]byte{2}, der...)))
	esum := sha256.Sum256([]byte(text))
	esig, err := ecdsa.SignASN1(rand.Reader, ec, esum[:])
	must(err)
	ecnote := text + "\n" + "\u2014 " + ecname + " " + base64.StdEncoding.EncodeToString(append(dersum[:4:4], esig...)) + "\n"
	ev, err := fnote.NewVerifier(evkey)
	must(err)
	_, err = note.Open([]byte(ecnote), note.VerifierList(ev))
	must(err)

	out := map[string]any{
		"made by": "golang.org/x/mod v0.43.0, github.com/transparency-dev/formats v0.1.1; see generate.go",
		"trees":   trees,
		"large":   map[string]any{"size": large, "root": largeRoot.String(), "tiles": tiles},
		"notes": map[string]any{
			"seed":        base64.StdEncoding.EncodeToString(seed[:]),
			"log":         map[string]any{"key": vkey, "note": string(signed)},
			"cosignature": map[string]any{"key": wvkey, "note": string(cosigned), "time": when.Unix()},
			"ecdsa":       map[string]any{"key": evkey, "note": ecnote},
		},
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	must(encoder.Encode(out))
}

func mustVerifier(key string) note.Verifier {
	v, err := note.NewVerifier(key)
	must(err)
	return v
}

func mustEd(name string, public ed25519.PublicKey) string {
	key, err := note.NewEd25519VerifierKey(name, public)
	must(err)
	return key
}
