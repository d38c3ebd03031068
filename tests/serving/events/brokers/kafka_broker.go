// A broker of Kafka's protocol for the tests, with a folder, TLS and passwords: see kafka.py beside this.
//
// Build it with Go and github.com/twmb/franz-go/pkg/kfake. That package names the mechanisms of SASL only when it refuses one;
// Kafka names them always, and so must this for its passwords to be asked for: set resp.SupportedMechanisms before the switch
// of its 17_sasl_handshake.go. And a producer that takes a transactional id over must void what the one before left open,
// which this commits with the next one's: in create of its txns.go, call pidinf.endTx(false) where pidinf.inTx, before
// bumpEpoch.
package main

import (
	"crypto/tls"
	"flag"
	"os"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	port := flag.Int("port", 9092, "where it listens, on 127.0.0.1")
	dir := flag.String("dir", "", "the folder that keeps what it has")
	cert := flag.String("cert", "", "its certificate, PEM; without one it speaks no TLS")
	key := flag.String("key", "", "the certificate's key, PEM")
	user := flag.String("user", "", "who may use it; without one, everybody")
	password := flag.String("password", "", "the user's password")
	flag.Parse()
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.Ports(*port)}
	if *dir != "" {
		opts = append(opts, kfake.DataDir(*dir), kfake.SyncWrites())
	}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			panic(err)
		}
		opts = append(opts, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
	}
	if *user != "" {
		opts = append(opts, kfake.EnableSASL())
		for _, how := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			opts = append(opts, kfake.Superuser(how, *user, *password))
		}
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		panic(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	cluster.Close()
}
