//! [`Till`]: a shop's till. It asks for alice, polls until she has decided, checks what it is given, and uses it.

use std::time::Duration;

use countersign::clock::{self, Clock};
use countersign::jose::jwk::KeySet;
use countersign::secret::Secret;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::caller::{Answer, Caller};
use crate::holder::Binding;
use crate::id_token::{Expected, IdToken};
use crate::message::{Message, Role};
use crate::places::Places;
use crate::signer::{ASSERTION_TYPE, LIFETIME, Signer};
use crate::story::{Story, Told};
use crate::visitor::Visitor;

const CLIENT_ID: &str = "till-7";
const GRANT: &str = "urn:openid:params:grant-type:ciba";
const SCOPE: &str = "openid accounts";
const SERVER: (Role, Role) = (Role::Till, Role::Countersign);

/// The till and all it owns.
pub(crate) struct Till {
    caller: Caller,
    at_the_bank: Visitor,
    es256: Signer,
    ps256: Signer,
    places: Places,
    endpoints: Endpoints,
    story: Story,
}

/// What discovery says.
struct Endpoints {
    backchannel: String,
    token: String,
    jwks: String,
}

/// A request that the server has accepted.
pub(crate) struct Asked {
    auth_req_id: Secret,
    interval: u64,
    polls: u32,
}

/// What a poll brings (CIBA §10.1, §11).
pub(crate) enum Heard {
    Tokens(Tokens),
    Pending,
    Denied,
    Expired,
    /// The `auth_req_id` was redeemed before.
    Spent,
}

/// What the till is given.
pub(crate) struct Tokens {
    pub(crate) access_token: Secret,
    expires_in: u64,
    id_token: Secret,
}

impl Till {
    /// Unpacks certificate and keys, and asks the issuer where its endpoints are.
    pub(crate) async fn open(places: Places, story: Story) -> Told<Self> {
        let caller = match places.binding {
            Binding::Certificate => Caller::with_certificate(&places.certs, "till")?,
            Binding::Key => Caller::with_key(&places.certs)?,
        };
        let line = "/.well-known/openid-configuration";
        let answer = caller.get(&format!("{}{line}", places.issuer)).await?;
        let names = ["issuer", "backchannel_authentication_endpoint", "token_endpoint", "jwks_uri"];
        story.say(&[
            Message::request(SERVER, &format!("GET {line} HTTP/1.1")),
            Message::answer(SERVER, answer.status).with_of(&answer.body, &names),
        ]);
        story.pause().await;
        if answer.text("issuer")? != places.issuer {
            return Err("the metadata is another issuer's".into());
        }
        let endpoints = Endpoints {
            backchannel: answer.text("backchannel_authentication_endpoint")?.to_owned(),
            token: answer.text("token_endpoint")?.to_owned(),
            jwks: answer.text("jwks_uri")?.to_owned(),
        };
        Ok(Self {
            at_the_bank: Visitor::new(Role::Till, caller.clone(), (&places, &story)),
            es256: Signer::new(CLIENT_ID, &places.certs.join("till-es256.key"))?,
            ps256: Signer::new(CLIENT_ID, &places.certs.join("till-ps256.key"))?,
            caller,
            places,
            endpoints,
            story,
        })
    }

    /// CIBA §7.1: asks for `login_hint` to be asked. `binding_message` is what the till's own display shows too.
    pub(crate) async fn ask(&self, login_hint: &str, binding_message: &str) -> Told<Asked> {
        let issuer = &self.places.issuer;
        let parameters = json!({ "scope": SCOPE, "login_hint": login_hint, "binding_message": binding_message });
        let request = self.ps256.request_object(issuer, parameters)?;
        let assertion = self.es256.assertion(issuer)?;
        self.story.say(&[Message::request(SERVER, "POST /bc-authorize HTTP/1.1")
            .with("TLS certificate", self.caller.shows())
            .with("client_assertion", self.said(&assertion))
            .with("request", format!("{}  signed with PS256, and in it:", request.reveal()))
            .with("  scope", SCOPE)
            .with("  login_hint", login_hint)
            .with("  binding_message", binding_message)
            .with("  iss, aud", format!("{}, {issuer}", self.ps256.client_id()))
            .with("  iat, nbf, exp, jti", format!("good from now on for {LIFETIME} s, and once"))]);
        self.story.pause().await;
        let form = [
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.reveal()),
            ("request", request.reveal()),
        ];
        let answer = self.caller.post_form(&self.endpoints.backchannel, &form).await?;
        let names = ["auth_req_id", "expires_in", "interval", "error", "error_description"];
        self.story.say(&[Message::answer(SERVER, answer.status).with_of(&answer.body, &names)]);
        self.story.pause().await;
        let auth_req_id = Secret::new(answer.text("auth_req_id")?.to_owned());
        Ok(Asked { auth_req_id, interval: answer.number("interval")?, polls: 0 })
    }

    /// CIBA §10.1: asks for the tokens, once. `slow_down` counts as not decided yet, and makes the interval longer for good (CIBA §11).
    ///
    /// RFC 9449 §8: where the proof lacks a nonce, or has an old one, the answer has one that is good, and the till asks again at once. Everything that is good once is made anew.
    pub(crate) async fn poll(&self, asked: &mut Asked) -> Told<Heard> {
        if let Some(heard) = self.ask_for_tokens(asked).await? {
            return Ok(heard);
        }
        self.story.note(
            Role::Till,
            "countersign wants to see that the proof was made just now, and gives out a nonce to put in it. The till keeps the newest.",
        );
        self.ask_for_tokens(asked).await?.ok_or_else(|| "countersign does not take its own nonce".into())
    }

    /// Nothing comes back where the proof has to have a nonce that the answer gave.
    async fn ask_for_tokens(&self, asked: &mut Asked) -> Told<Option<Heard>> {
        let assertion = self.es256.assertion(&self.places.issuer)?;
        let form = [
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.reveal()),
            ("grant_type", GRANT),
            ("auth_req_id", asked.auth_req_id.reveal()),
        ];
        let proof = self.caller.prove(("POST", &self.endpoints.token), None)?;
        let answer = self.caller.post_form_with(&self.endpoints.token, &form, proof.as_ref()).await?;
        let mut request = Message::request(SERVER, "POST /token HTTP/1.1");
        if asked.polls == 0 {
            request = request
                .with("TLS certificate", self.caller.shows())
                .with_proof(proof.as_ref())
                .with("client_assertion", self.said(&assertion))
                .with("grant_type", GRANT);
        }
        let request = request.with("auth_req_id", asked.auth_req_id.reveal());
        if let (Some("use_dpop_nonce"), Some(nonce)) = (answer.error(), &answer.nonce) {
            let refused = Message::answer(SERVER, answer.status).with_of(&answer.body, &["error"]);
            self.story.say(&[request, refused.with("DPoP-Nonce", nonce)]);
            return Ok(None);
        }
        asked.polls += 1;
        let heard = Heard::read(&answer, asked)?;
        // The second "not yet" and those after it need no more than a word.
        let names: &[&str] = match heard {
            Heard::Pending if asked.polls > 1 => &["error"],
            Heard::Tokens(_) => &["access_token", "token_type", "expires_in", "scope", "id_token"],
            Heard::Pending | Heard::Denied | Heard::Expired | Heard::Spent => &["error", "error_description"],
        };
        self.story.say(&[request, Message::answer(SERVER, answer.status).with_of(&answer.body, names)]);
        self.story.pause().await;
        Ok(Some(heard))
    }

    /// CIBA §7.3: polls at the interval until there is more to hear than "not yet".
    pub(crate) async fn poll_until_decided(&self, asked: &mut Asked) -> Told<Heard> {
        loop {
            sleep(Duration::from_secs(asked.interval)).await;
            match self.poll(asked).await? {
                Heard::Pending => {}
                heard @ (Heard::Tokens(_) | Heard::Denied | Heard::Expired | Heard::Spent) => return Ok(heard),
            }
        }
    }

    /// Looks at the ID token before anything is made of it: nothing is believed that the issuer's published keys do not vouch for.
    pub(crate) async fn check(&self, tokens: &Tokens) -> Told<()> {
        let answer = self.caller.get(&self.endpoints.jwks).await?;
        let keys = answer.body.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |key: &Value| Some(format!("{} {}", key.get("alg")?.as_str()?, key.get("kid")?.as_str()?));
        let listed: Vec<String> = keys.iter().filter_map(named).collect();
        self.story.say(&[
            Message::request(SERVER, "GET /jwks HTTP/1.1"),
            Message::answer(SERVER, answer.status).with("keys", listed.join(", ")),
        ]);
        let keys = KeySet::parse(answer.body.to_string().as_bytes())?;
        let (issuer, now) = (&self.places.issuer, clock::System.now());
        let expected = Expected { issuer, client_id: CLIENT_ID, keys: &keys };
        let IdToken { sub, exp } = IdToken::read(&tokens.id_token, &expected, now)?;
        let left = exp.since(now);
        self.story.note(
            Role::Till,
            &format!(
                "The ID token holds: signed with PS256 by one of these keys, iss {issuer}, aud {CLIENT_ID}, sub {sub}, and exp {left} s ahead. \
                 The access token lives {} s.",
                tokens.expires_in
            ),
        );
        self.story.pause().await;
        Ok(())
    }

    /// Reads the balance, as the one the token was made for. Its certificate shows that it is (RFC 8705 §3), or the proof of its key (RFC 9449 §7).
    pub(crate) async fn read_balance(&self, tokens: &Tokens) -> Told<()> {
        let status = self.at_the_bank.balance(&tokens.access_token).await?;
        if status == 200 { Ok(()) } else { Err("the bank refuses a good token".into()) }
    }

    fn said(&self, assertion: &Secret) -> String {
        let (client, issuer) = (self.es256.client_id(), &self.places.issuer);
        format!("{}  signed with ES256: I am {client}, for {issuer}, for {LIFETIME} s, once", assertion.reveal())
    }
}

impl Asked {
    /// How many seconds to leave between two polls.
    pub(crate) const fn interval(&self) -> u64 {
        self.interval
    }
}

impl Heard {
    fn read(answer: &Answer, asked: &mut Asked) -> Told<Self> {
        if answer.status == 200 {
            let secret = |name| answer.text(name).map(|token| Secret::new(token.to_owned()));
            let (access_token, id_token) = (secret("access_token")?, secret("id_token")?);
            return Ok(Self::Tokens(Tokens { access_token, expires_in: answer.number("expires_in")?, id_token }));
        }
        match answer.text("error")? {
            "authorization_pending" => Ok(Self::Pending),
            "slow_down" => {
                asked.interval += 5;
                Ok(Self::Pending)
            }
            "access_denied" => Ok(Self::Denied),
            "expired_token" => Ok(Self::Expired),
            "invalid_grant" => Ok(Self::Spent),
            other => Err(format!("the till cannot go on after {other}").into()),
        }
    }
}
