// Publishes a message, and prints how many subscribers the channel has: go run publish.go [CHANNEL [MESSAGE]]
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	channel, message := "http://localhost:8081/room/1", "hello"
	if len(os.Args) > 1 {
		channel = os.Args[1]
	}
	if len(os.Args) > 2 {
		message = os.Args[2]
	}
	answer, err := http.Post(channel, "text/plain", strings.NewReader(message))
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		log.Fatal(answer.Status)
	}
	fmt.Println(answer.Header.Get("X-Subscribers"))
}
