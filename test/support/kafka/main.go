// A Kafka broker in memory for tests: github.com/twmb/franz-go/pkg/kfake behind a few flags. Says on its first line, as JSON, where it
// listens, and ends when its standard input does.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"flag"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// certificate makes one that signs itself, good for this machine and this run.
func certificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kafka of a test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// listener gives connections whose answer to a SASL handshake names the mechanism, as Kafka's own does: the broker's names none, and a client
// that looks finds its own missing.
type listener struct {
	net.Listener
	mechanism string
}

func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{Conn: accepted, mechanism: l.mechanism}, nil
}

type connection struct {
	net.Conn
	mechanism string
	answered  bool
}

// The whole of an answer without an error and with an empty list: its size, the request's number, a code of two bytes, a length of four.
const emptyAnswer = 14

func (c *connection) Write(answer []byte) (int, error) {
	empty := len(answer) == emptyAnswer && binary.BigEndian.Uint16(answer[8:]) == 0 && binary.BigEndian.Uint32(answer[10:]) == 0
	if c.mechanism == "" || c.answered || !empty {
		return c.Conn.Write(answer)
	}
	c.answered = true
	full := binary.BigEndian.AppendUint32(nil, uint32(len(answer)-4+2+len(c.mechanism)))
	full = append(full, answer[4:10]...)
	full = binary.BigEndian.AppendUint32(full, 1)
	full = binary.BigEndian.AppendUint16(full, uint16(len(c.mechanism)))
	if _, err := c.Conn.Write(append(full, c.mechanism...)); err != nil {
		return 0, err
	}
	return len(answer), nil
}

func main() {
	port := flag.Int("port", 0, "port to listen on; any without it")
	mechanism := flag.String("sasl", "", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	user := flag.String("user", "", "who may sign in")
	password := flag.String("password", "", "with what")
	secure := flag.Bool("tls", false, "speak TLS with a certificate that signs itself")
	flag.Parse()

	options := []kfake.Opt{kfake.NumBrokers(1), kfake.Ports(*port), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(3)}
	var authority []byte
	var settings *tls.Config
	if *secure {
		own, pemBytes, err := certificate()
		if err != nil {
			log.Fatal(err)
		}
		authority = pemBytes
		settings = &tls.Config{Certificates: []tls.Certificate{own}}
	}
	options = append(options, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		base, err := net.Listen(network, address)
		if err == nil && settings != nil {
			base = tls.NewListener(base, settings)
		}
		return listener{Listener: base, mechanism: *mechanism}, err
	}))
	if *mechanism != "" {
		options = append(options, kfake.EnableSASL(), kfake.Superuser(*mechanism, *user, *password))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"brokers": cluster.ListenAddrs(), "authority": string(authority)}); err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}
