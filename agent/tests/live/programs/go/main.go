// Client and server by net/http: `live serve` prints its port, `live get BASE` makes the requests of the script.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func answer(response http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	parts := strings.Split(request.URL.Path, "/")
	size := 0
	if len(parts) > 2 {
		size, _ = strconv.Atoi(parts[2])
	}
	switch parts[1] {
	case "bytes":
		response.Header().Set("Content-Length", strconv.Itoa(size))
		response.Write(bytes.Repeat([]byte("x"), size))
	case "echo":
		response.Header().Set("Content-Length", strconv.Itoa(len(body)))
		response.Write(body)
	case "status":
		response.WriteHeader(size)
		if size != 204 {
			io.WriteString(response, "status\n")
		}
	case "chunked":
		for ; size > 0; size -= 1000 {
			response.Write(bytes.Repeat([]byte("y"), min(size, 1000)))
			response.(http.Flusher).Flush()
		}
	default:
		response.WriteHeader(404)
		io.WriteString(response, "not here")
	}
}

func min(left, right int) int {
	if left < right {
		return left
	}
	return right
}

func get(base string) error {
	script := []struct {
		method, path string
		body         io.Reader
	}{
		{"GET", "/bytes/1000", nil},
		{"POST", "/echo", strings.NewReader(strings.Repeat("p", 500))},
		{"GET", "/status/404", nil},
		{"DELETE", "/status/204", nil},
		{"GET", "/chunked/3000", nil},
		{"HEAD", "/bytes/1000", nil},
		// A reader of unknown length is sent chunked.
		{"POST", "/echo", io.MultiReader(strings.NewReader(strings.Repeat("c", 300)))},
	}
	for _, step := range script {
		request, err := http.NewRequest(step.method, base+step.path, step.body)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	return nil
}

func main() {
	if os.Args[1] == "serve" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(listener.Addr().(*net.TCPAddr).Port)
		panic(http.Serve(listener, http.HandlerFunc(answer)))
	}
	if err := get(os.Args[2]); err != nil {
		panic(err)
	}
}
