#!/usr/bin/env python3
"""A till for countersign: what a client sends, with the standard library, and the program `openssl` for signatures.

It asks a server for a user, waits for what they say, and uses the tokens. Each call is shown, and each answer.
docs/getting-started.md has it run, deploy/till.md is the manual.

    python3 examples/till.py --user alice --amount 42.90

Exit codes: 0 there are tokens; 1 the request was denied, has expired or was refused; 2 it could not be made.
"""

import argparse
import base64
import hashlib
import http.client
import json
import pathlib
import secrets
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CIBA = "urn:openid:params:grant-type:ciba"
PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]

# Of the metadata, what a till needs; and what is not worth a line.
USED = ("issuer", "backchannel_authentication_endpoint", "token_endpoint", "userinfo_endpoint", "introspection_endpoint")
HIDDEN = ("content-type", "client_assertion_type")

# Errors that a first try meets, and where to look.
HINTS = {
    "temporarily_unavailable": "nobody was asked; the server's log says why. Is the bank there? `python3 examples/bank.py` is one",
    "unknown_user_id": "the bank knows nobody of that name; examples/bank.py knows alice",
    "invalid_client": "the server has other keys of this till than those in --certs, or does not know it",
    "invalid_dpop_proof": "this till is registered with dpop_bound_access_tokens = true: say --dpop",
    "invalid_request": "the server's log says why; --dpop is for a till with dpop_bound_access_tokens = true",
}


class Unable(Exception):
    """Why the till cannot ask."""


def sell(options, folder):
    """Asks, waits, and uses what it is given. The exit code says what came of it."""
    certs, issuer = options.certs, options.issuer
    for name in ("ca.pem", "till.pem", "till.key", "till-es256.key", "till-ps256.key", "accounts-api-es256.key"):
        if not (certs / name).is_file():
            raise Unable(f"there is no {certs / name}; `./target/release/countersign certs dev` makes it")
    trust = certs / "ca.pem"
    # Assertions by ES256 and requests by PS256: as the till is registered in deploy/server.toml.
    key, request_key = Key(certs / "till-es256.key", "ES256"), Key(certs / "till-ps256.key", "PS256")
    if options.dpop:
        till = Client("till-7", key, issuer, trust, holder=Holder(folder))
    else:
        till = Client("till-7", key, issuer, trust, certificate=(certs / "till.pem", certs / "till.key"))

    # Where everything is (OpenID Connect Discovery 4).
    _, metadata = till.call("GET", f"{issuer}/.well-known/openid-configuration")
    if metadata.get("issuer") != issuer:
        raise Unable(f"{issuer} does not call itself that: is --issuer what server.issuer is, with the port of server.listen?")

    # Ask for the user (CIBA 7.1): a signed request object. The binding message stands on this till's display, too.
    wanted = {"scope": "openid accounts", "login_hint": options.user, "binding_message": f"Till 7: {options.amount}"}
    request = request_key.sign("oauth-authz-req+jwt", till.claims(**wanted))
    status, asked = till.call("POST", metadata["backchannel_authentication_endpoint"], {"request": request})
    if status != 200:
        return refused(asked)
    print(f"\nThe till shows: {told(wanted['binding_message'])}", flush=True)

    # Poll, no faster than told (CIBA 7.3, 10.1). The tokens are bound to the certificate of this call, or to the key of its proof.
    interval, poll = asked["interval"], {"grant_type": CIBA, "auth_req_id": asked["auth_req_id"]}
    while True:
        time.sleep(interval)
        status, tokens = till.call("POST", metadata["token_endpoint"], poll, prove=True)
        if status == 200:
            break
        if tokens.get("error") == "slow_down":
            interval += 5
        elif tokens.get("error") not in ("authorization_pending", "temporarily_unavailable"):
            return refused(tokens)

    # OpenID Connect Core 3.1.3.7-6: TLS vouches for it, as it came from the issuer itself. Whoever hands it on checks its signature.
    claims = json.loads(unb64(tokens["id_token"].split(".")[1]))
    if claims["iss"] != issuer or claims["aud"] != till.client_id or claims["exp"] < time.time():
        raise Unable("the ID token is of another issuer, for another client, or of another time")

    # Use the access token: as the one it was made for.
    _, user = till.call("GET", metadata["userinfo_endpoint"], token=tokens["access_token"])
    if user.get("sub") != claims["sub"]:
        raise Unable("userinfo is about another user than the ID token")

    # What an API of the bank does that is shown the token: it asks what it is worth (deploy/bank.md).
    api = Client("accounts-api", Key(certs / "accounts-api-es256.key", "ES256"), issuer, trust)
    _, worth = api.call("POST", metadata["introspection_endpoint"], {"token": tokens["access_token"]})
    if not worth.get("active"):
        raise Unable("the accounts API hears that the token is worth nothing")
    print(f"\n{told(options.user)} said yes, and is {told(claims['sub'])}: the tokens are good for {tokens['expires_in']} seconds")
    return 0


def refused(problem):
    error = told(problem.get("error", "no error"))
    hint = HINTS.get(error)
    print(f"\nno tokens: {error}" + (f" ({hint})" if hint else ""), flush=True)
    return 1


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*arguments, given=b""):
    try:
        return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise Unable("there is no program `openssl` to sign with (on Debian: apt install openssl)") from None
    except subprocess.CalledProcessError as error:
        raise Unable(f"openssl {arguments[0]}: {error.stderr.decode(errors='replace').strip()}") from None


class Key:
    """A private key in a file, and the JWTs it signs."""

    def __init__(self, file, alg, **header):
        self.file, self.header = file, {"alg": alg, **header}

    def sign(self, typ, claims):
        parts = ({**self.header, "typ": typ}, claims)
        signed = ".".join(b64(json.dumps(part).encode()) for part in parts)
        pss = PSS if self.header["alg"] == "PS256" else []
        signature = openssl("dgst", "-sha256", "-sign", self.file, *pss, given=signed.encode())
        if not pss:
            # RFC 7518 3.4: R and S, 32 bytes each. openssl wraps them in DER, as two integers of a length of their own.
            s_at = 4 + signature[3]
            both = (signature[4:s_at], signature[s_at + 2 :])
            signature = b"".join(int.from_bytes(one, "big").to_bytes(32, "big") for one in both)
        return f"{signed}.{b64(signature)}"


class Holder(Key):
    """A key that nobody has had before, for DPoP (RFC 9449): tokens are bound to it."""

    def __init__(self, folder):
        file = pathlib.Path(folder) / "dpop.key"
        file.write_bytes(openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
        # A public P-256 key in DER ends with X and Y.
        point = openssl("pkey", "-in", file, "-pubout", "-outform", "DER")[-64:]
        super().__init__(file, "ES256", jwk={"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])})
        self.nonces = {}

    def prove(self, method, url, token=None):
        claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": secrets.token_urlsafe(16)}
        if token:
            claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
        if url in self.nonces:
            claims["nonce"] = self.nonces[url]
        return self.sign("dpop+jwt", claims)


class Client:
    """Whoever calls `issuer` by a `client_id`, with the key of its assertions; and with a certificate, a holder's proofs, or neither."""

    def __init__(self, client_id, key, issuer, trust, certificate=None, holder=None):
        self.client_id, self.key, self.issuer, self.trust, self.holder = client_id, key, issuer, trust, holder
        self.context = ssl.create_default_context(cafile=trust)
        self.shows, self.waits = "", False
        if certificate:
            self.context.load_cert_chain(*certificate)
            self.shows = f"   (TLS certificate: {certificate[0].name})"

    def claims(self, **more):
        """Who I am, said to this issuer alone, good once and for a minute."""
        now = int(time.time())
        once = {"jti": secrets.token_urlsafe(16), "iat": now, "nbf": now, "exp": now + 60}
        return {"iss": self.client_id, "aud": self.issuer, **once, **more}

    def call(self, method, url, form=None, token=None, prove=False):
        """One request, and the status and members of its answer. A form goes with a new assertion, a token with a new proof."""
        headers = {}
        if form:
            headers["content-type"] = "application/x-www-form-urlencoded"
            assertion = self.key.sign("JWT", self.claims(sub=self.client_id))
            form = {**form, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        scheme = "Bearer"
        if self.holder and (prove or token):
            scheme, headers["dpop"] = "DPoP", self.holder.prove(method, url, token)
        if token:
            headers["authorization"] = f"{scheme} {token}"
        # The second "not yet" and those after it need no more than a word.
        show(f"{self.client_id} → {method} {url}{self.shows}", {} if self.waits else {**headers, **(form or {})})
        place = urllib.parse.urlsplit(url)
        try:
            connection = http.client.HTTPSConnection(place.netloc, timeout=30, context=self.context)
            connection.request(method, place.path, urllib.parse.urlencode(form or {}), headers)
            answer = connection.getresponse()
            status, nonce, body = answer.status, answer.getheader("dpop-nonce"), dict(json.loads(answer.read()))
            connection.close()
        except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
            raise Unable(f"{place.netloc} {wrong(error, self.trust)}") from None
        waited, self.waits = self.waits, body.get("error") == "authorization_pending"
        named = {"dpop-nonce": nonce} if nonce else {}
        show(f"{self.client_id} ← {status}", {"error": body["error"]} if waited and self.waits else {**named, **body})
        if "dpop" in headers and nonce and self.holder.nonces.get(url) != nonce:
            self.holder.nonces[url] = nonce
            # RFC 9449 8: the same again, with this nonce in a new proof.
            if body.get("error") == "use_dpop_nonce":
                return self.call(method, url, form, token, prove)
        return status, body


def wrong(error, trust):
    """What a failed call comes from, for whoever makes a first one."""
    if isinstance(error, ConnectionRefusedError):
        return "takes no connections: is `countersign serve` running, with that port as server.listen?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that {trust} does not vouch for ({error.verify_message}): is that the server's?"
    if isinstance(error, (ssl.SSLError, ConnectionError)) or not isinstance(error, OSError):
        return "does not answer as countersign does: is that its server.listen?"
    return f"cannot be reached: {error}"


def show(line, members):
    """What is sent or came back, a line each."""
    print(f"\n{line}", flush=True)
    for name, value in members.items():
        if name not in HIDDEN and ("issuer" not in members or name in USED):
            print(f"    {name:<16}  {told(value)}", flush=True)


def told(value):
    """A value as it may be shown: JWTs by their content, anything that could be a token by its beginning."""
    if isinstance(value, str) and value.startswith("eyJ") and value.count(".") == 2:
        header, claims = (json.loads(unb64(part)) for part in value.split(".")[:2])
        once = [name for name in ("iat", "nbf", "exp", "jti") if name in claims]
        return f"{header['alg']} {told({name: claims[name] for name in claims if name not in once})}, {', '.join(once)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {told(inner)}" for name, inner in value.items()) + "}"
    words = " ".join(value) if isinstance(value, list) else str(value)
    cut = (word if len(word) < 40 or ":" in word else f"{word[:12]}…" for word in words.split(" "))
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(cut))


def main():
    parser = argparse.ArgumentParser(description="A till for countersign: asks for a user, and waits for what they say.")
    parser.add_argument("--issuer", default="https://localhost:9443", help="server.issuer in server.toml [%(default)s]")
    parser.add_argument("--certs", default="certs/dev", type=pathlib.Path, help="made by `countersign certs dev` [%(default)s]")
    parser.add_argument("--user", default="alice", help="whom to ask, in the bank's words [%(default)s]")
    parser.add_argument("--amount", default="42.90", help="what the displays show [%(default)s]")
    parser.add_argument("--dpop", action="store_true", help="bind the tokens to a fresh key, in place of the certificate")
    options = parser.parse_args()
    if not options.issuer.startswith("https://"):
        parser.error("--issuer has to begin with https://")
    with tempfile.TemporaryDirectory() as folder:
        try:
            sys.exit(sell(options, folder))
        except (Unable, OSError) as why:
            print(f"till.py: {why} (--certs {options.certs})", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(1)


if __name__ == "__main__":
    main()
