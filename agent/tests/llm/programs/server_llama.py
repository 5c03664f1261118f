"""llama.cpp's own server with a tiny model of random weights. Usage: server_llama.py FOLDER; prints its port."""

import os
import signal
import sys

import xllamacpp

import tiny_gguf

path = os.path.join(sys.argv[1], "tiny.gguf")
tiny_gguf.write(path)
# Its own log goes where errors go.
port_of_ours = os.dup(1)
os.dup2(2, 1)
params = xllamacpp.CommonParams()
params.model.path = path
params.model_alias = {"tiny-random"}
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = 512
params.n_parallel = 2
params.cpuparams.n_threads = 1
params.verbosity = 0
server = xllamacpp.Server(params)
os.write(port_of_ours, server.listening_address.rsplit(":", 1)[1].strip("/").encode() + b"\n")
signal.pause()
