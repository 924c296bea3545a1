#!/usr/bin/env python3
"""A bank for countersign: the three calls that a bank implements, with the standard library alone.

It knows alice, and this terminal is her phone. docs/integrate.md goes through it; deploy/bank.md is the contract.

    ./target/release/countersign certs dev
    ./target/release/countersign serve
    python3 examples/bank.py
"""

import argparse
import hashlib
import http.client
import http.server
import json
import pathlib
import queue
import ssl
import sys
import threading
import time
import urllib.parse

# Your customers, by what they tell a till. What a name stands for never changes, and is never given to anybody else.
CUSTOMERS = {"alice": "customer-204117"}

# No call of countersign's is longer.
LONGEST_BODY = 64 * 1024

# Whom to ask, in the order in which it came. A real bank keeps these where they outlive it, and pushes them to a phone.
prompts = queue.Queue(maxsize=100)


class Webhook(http.server.BaseHTTPRequestHandler):
    """What countersign calls. It answers within five seconds, or the client is told to try again."""

    protocol_version = "HTTP/1.1"
    timeout = 5
    countersign = ""

    def do_POST(self):
        # The authority vouches for many; only one of them is countersign.
        shown = self.connection.getpeercert(binary_form=True)
        if hashlib.sha256(shown).hexdigest() != self.countersign:
            return self.answer(403)
        length = self.headers.get("content-length", "")
        # Python makes no number of more than 4300 digits.
        if not length.isdecimal() or len(length) > 9 or int(length) > LONGEST_BODY:
            return self.answer(400)
        try:
            question = json.loads(self.rfile.read(int(length)))
            if self.path == "/identify":
                return self.answer(200, identify(question))
            if self.path == "/prompt":
                return self.answer(prompt(question))
        except (KeyError, TypeError, ValueError, AttributeError):
            return self.answer(400)
        return self.answer(404)

    def answer(self, status, body=None):
        # What went wrong may have left the rest of a request on the connection.
        self.close_connection = self.close_connection or status >= 400
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Hints, binding messages and auth_req_ids are nothing for a log."""


class Server(http.server.ThreadingHTTPServer):
    """A thread for each connection, and a handshake that holds up nobody else."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        # Whoever has no good certificate, or hangs up: it is their connection alone.
        pass


def identify(question):
    """Who is this? Before anything is stored."""
    if question["hint_type"] == "login_hint":
        sub = CUSTOMERS.get(question["hint"])
    else:
        # It comes from a token that names a customer by what we call them.
        sub = question["hint"] if question["hint"] in CUSTOMERS.values() else None
    return {"status": "known", "sub": sub} if sub else {"status": "unknown"}


def prompt(request):
    """Please ask this user. From 202 on it is ours to deliver."""
    asked = {name: request[name] for name in ("auth_req_id", "sub", "client_name", "scope", "expires_in")}
    asked["binding_message"] = request.get("binding_message", "")
    asked["until"] = time.monotonic() + request["expires_in"]
    try:
        prompts.put_nowait(asked)
    except queue.Full:
        return 503
    return 202


def phone(asked, decide):
    """Shows who wants what, and brings what she says to countersign."""
    if time.monotonic() > asked["until"]:
        return
    print(f"\n{plain(asked['client_name'])} asks for: {plain(' '.join(asked['scope']))}")
    print(f"Does it show the same words?  {plain(asked['binding_message'])}")
    print("approve? y or n, then Enter: ", flush=True)
    typed = sys.stdin.readline().strip().lower()
    decision = {"auth_req_id": asked["auth_req_id"], "decision": "deny"}
    if typed == "y":
        # Whoever is at the phone has shown who they are by now; how well, acr says.
        decision.update(decision="approve", sub=asked["sub"], acr="urn:bank:acr:app-pin", auth_time=int(time.time()))
    said = {
        204: f"{decision['decision']}: countersign has it, and the till hears so when it asks next",
        409: "too late, or decided before",
    }
    status = decide(decision)
    print(said.get(status, f"countersign does not take it: {status}"), flush=True)


def plain(text):
    """The words as they are, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def decision_call(url, trust, certificate):
    """POST /decision. The answer may get lost: it is brought again, and a 409 then means that the first one arrived."""
    context = ssl.create_default_context(cafile=trust)
    context.load_cert_chain(*certificate)
    place = urllib.parse.urlsplit(url)

    def decide(decision):
        status = 503
        for attempt in range(4):
            time.sleep(attempt)
            connection = http.client.HTTPSConnection(place.hostname, place.port, timeout=5, context=context)
            try:
                connection.request("POST", place.path, json.dumps(decision), {"content-type": "application/json"})
                status = connection.getresponse().status
            except OSError as error:
                print(f"countersign does not answer ({error}); trying again", file=sys.stderr)
            finally:
                connection.close()
            if status == 409 and attempt > 0:
                return 204
            if status != 503:
                break
        return status

    return decide


def main():
    parser = argparse.ArgumentParser(description="A bank for countersign: it knows alice, and this terminal is her phone.")
    parser.add_argument("--certs", default="certs/dev", type=pathlib.Path, help="made by `countersign certs dev` [%(default)s]")
    parser.add_argument("--listen", default=9445, type=int, help="the port of bank.url in server.toml [%(default)s]")
    parser.add_argument("--decision", default="https://localhost:9444/decision", help="where decisions go [%(default)s]")
    options = parser.parse_args()
    file = lambda name: str(options.certs / name)
    for name in ("ca.pem", "countersign.pem", "bank.pem", "bank.key"):
        if not (options.certs / name).is_file():
            sys.exit(f"bank.py: there is no {file(name)}; `./target/release/countersign certs dev` makes it")
    try:
        Webhook.countersign = hashlib.sha256(
            ssl.PEM_cert_to_DER_cert((options.certs / "countersign.pem").read_text())
        ).hexdigest()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=file("ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(file("bank.pem"), file("bank.key"))
        decide = decision_call(options.decision, file("ca.pem"), (file("bank.pem"), file("bank.key")))
        server = Server(("127.0.0.1", options.listen), Webhook)
    except OSError as error:
        sys.exit(f"bank.py: {error} (--certs {options.certs}, --listen {options.listen})")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"the bank is at https://localhost:{options.listen}, and this is alice's phone (Ctrl-C ends it)", flush=True)
    try:
        while True:
            phone(prompts.get(), decide)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
