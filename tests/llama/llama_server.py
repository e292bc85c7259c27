#!/usr/bin/env python3
"""Runs llama.cpp's own HTTP server, which the xllamacpp wheel carries, on one model file.

Prints `listening URL` once the model is loaded. Ends with SIGTERM or SIGINT, and when standard input ends, so
that it does not outlive the test that started it.
"""

import argparse
import os
import sys
import threading

import xllamacpp


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--alias", action="append", default=[])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--embeddings", action="store_true")
    parser.add_argument("--api-key")
    arguments = parser.parse_args()

    server = xllamacpp.Server(parameters(arguments))
    # One write: the server logs to the same file meanwhile, and print's several may be parted by its lines.
    os.write(sys.stdout.fileno(), f"listening {server.listening_address}\n".encode())
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    threading.Event().wait()


def parameters(arguments):
    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = set(arguments.alias)
    params.port = arguments.port
    params.n_ctx, params.n_parallel = arguments.context, arguments.parallel
    params.n_batch = params.n_ubatch = arguments.batch
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    # With the default of a few threads, waiting streams starve /slots, which the tests measure with.
    params.n_threads_http = 32
    params.embedding = arguments.embeddings
    if arguments.embeddings:
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.endpoint_metrics = params.endpoint_slots = params.endpoint_props = True
    if arguments.api_key:
        params.api_keys = [arguments.api_key]
    return params


def end_with_standard_input():
    sys.stdin.buffer.read()
    # Not sys.exit: the server's own threads would be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
