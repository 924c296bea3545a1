//! Enrolment: the metadata of a client (RFC 7591 §2, CIBA §4, RFC 8705 §2.1.2) becomes a [`Client`]. One reader, whether the metadata stands in the
//! configuration or comes to the registration endpoint. Every member that does not fit is named.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;
use url::Host;

use crate::jose::alg::Alg;
use crate::jose::jwk::KeySet;
use crate::outbound::guard::foreign;
use crate::profile::client::{
    Authentication, CIBA_GRANT, CLIENT_CREDENTIALS_GRANT, Ciba, Client, Delivery, Keys, REFRESH_GRANT, Role,
};
use crate::profile::members::SUBJECTS;
use crate::profile::plain::is_plain;
use crate::profile::scope::is_scope_token;
use crate::profile::subject::{Subject, distinguished_name};
use crate::profile::{BoundBy, DeliveryMode, Method, Profile};
use crate::wire::json::Object;

/// A member that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Its name; empty for the whole.
    pub member: &'static str,
    /// What is wrong and what to do.
    pub says: String,
}

/// A client that asks for authentication.
///
/// # Errors
/// Every member that does not fit.
pub fn ciba(client_id: &str, members: &Object, profile: &Profile) -> Result<Client, Vec<Unfit>> {
    let reader = Reader::of(members, profile);
    let role = reader.ciba();
    reader.finish(client_id, role.map(Role::Ciba))
}

/// An API that asks about tokens.
///
/// # Errors
/// Every member that does not fit.
pub fn resource_server(client_id: &str, members: &Object, profile: &Profile) -> Result<Client, Vec<Unfit>> {
    let reader = Reader::of(members, profile);
    let role = reader.scope().map(|scope| Role::ResourceServer { scope });
    reader.finish(client_id, role)
}

/// Reads member by member, and goes on when one does not fit.
struct Reader<'a> {
    members: &'a Object,
    profile: &'a Profile,
    unfit: RefCell<Vec<Unfit>>,
}

impl<'a> Reader<'a> {
    const fn of(members: &'a Object, profile: &'a Profile) -> Self {
        Self { members, profile, unfit: RefCell::new(Vec::new()) }
    }

    fn finish(self, client_id: &str, role: Option<Role>) -> Result<Client, Vec<Unfit>> {
        let client_name = self.string("client_name");
        if client_name.is_some_and(|name| !is_plain(name, 128)) {
            self.fault(
                "client_name",
                "has to be at most 128 characters that a screen shows as they are, without a link",
            );
        }
        let keys = self.keys();
        let authentication = self.authentication(keys.as_ref());
        if let Some(Role::Ciba(ciba)) = &role {
            let alg = ciba.backchannel_authentication_request_signing_alg;
            self.needs_key(keys.as_ref(), ("backchannel_authentication_request_signing_alg", alg));
        }
        let unfit = self.unfit.take();
        match (client_name, keys, authentication, role) {
            (Some(client_name), Some(keys), Some(authentication), Some(role)) if unfit.is_empty() => Ok(Client {
                client_id: client_id.to_owned(),
                client_name: client_name.to_owned(),
                keys,
                authentication,
                role,
            }),
            _ => Err(unfit),
        }
    }

    fn ciba(&self) -> Option<Ciba> {
        let request_alg = self.alg("backchannel_authentication_request_signing_alg");
        let id_token_alg = self.alg("id_token_signed_response_alg");
        if let Some(alg) = id_token_alg.filter(|alg| !self.profile.issuer().offer.signs_with.contains(alg)) {
            self.fault("id_token_signed_response_alg", &format!("there is no signing key for {} here", alg.name()));
        }
        let delivery = self.delivery();
        let grants = self.grants();
        let scope = self.scope();
        if scope.as_ref().is_some_and(|scope| !scope.iter().any(|scope| scope == "openid")) {
            self.fault("scope", "has to have openid in it, as every CIBA request has to (CIBA 7.1)");
        }
        if self.members.get("response_types").is_some_and(|types| *types != Value::Array(Vec::new())) {
            self.fault("response_types", "has to be empty or left out: there is no front channel");
        }
        if self.members.contains_key("software_id") {
            self.string("software_id");
        }
        if self.flag("require_signed_request_object") == Some(false) {
            self.fault("require_signed_request_object", "has to be true or left out: it always is so");
        }
        let bound_by = self.bound_by();
        let user_code = self.flag("backchannel_user_code_parameter").unwrap_or_default();
        if user_code && !self.profile.issuer().offer.user_code {
            self.fault(
                "backchannel_user_code_parameter",
                "user codes are not offered here; that takes server.user_code = true",
            );
        }
        let sector = self.sector();
        let grants = grants?;
        Some(Ciba {
            backchannel_authentication_request_signing_alg: request_alg?,
            id_token_signed_response_alg: id_token_alg?,
            delivery: delivery?,
            user_code,
            refreshes: grants.contains(&REFRESH_GRANT),
            client_credentials: grants.contains(&CLIENT_CREDENTIALS_GRANT),
            sector,
            scope: scope?,
            bound_by: bound_by?,
        })
    }

    /// RFC 8705 §3.4, RFC 9449 §5.2: a token is bound to one key, and never to none.
    fn bound_by(&self) -> Option<BoundBy> {
        const CERTIFICATE: &str = "tls_client_certificate_bound_access_tokens";
        const DPOP: &str = "dpop_bound_access_tokens";
        let dpop = self.flag(DPOP).unwrap_or_default();
        let certificate = self.flag(CERTIFICATE).unwrap_or(!dpop);
        let (bound_by, name) = match (certificate, dpop) {
            (true, true) => {
                self.fault(DPOP, &format!("and {CERTIFICATE} are both true: a token is bound to one key"));
                return None;
            }
            (false, false) => {
                self.fault(CERTIFICATE, &format!("has to be true, unless {DPOP} is: a token is bound to a key"));
                return None;
            }
            (true, false) => (BoundBy::Certificate, CERTIFICATE),
            (false, true) => (BoundBy::Dpop, DPOP),
        };
        if !self.profile.binds(bound_by) {
            self.fault(name, "is not what the profile binds tokens by (sender_constraint.methods)");
        }
        Some(bound_by)
    }

    /// CIBA §4: the mode, and the endpoint that goes with it.
    fn delivery(&self) -> Option<Delivery> {
        const ENDPOINT: &str = "backchannel_client_notification_endpoint";
        let offered = self.profile.delivery_modes();
        let offered = offered.iter().map(|mode| (mode.name(), *mode)).collect::<Vec<_>>();
        let mode = self.choice("backchannel_token_delivery_mode", &offered)?;
        match mode {
            DeliveryMode::Poll if self.members.contains_key(ENDPOINT) => {
                self.fault(ENDPOINT, "is for ping clients; a poll client is never called");
                None
            }
            DeliveryMode::Poll => Some(Delivery::Poll),
            DeliveryMode::Ping => {
                self.callable("backchannel_token_delivery_mode");
                Some(Delivery::Ping(self.url(ENDPOINT)?))
            }
        }
    }

    /// The `grant_types`: the CIBA grant, and of the others those that the profile has.
    fn grants(&self) -> Option<Vec<&'a str>> {
        let Some(value) = self.members.get("grant_types") else {
            self.fault("grant_types", &format!("is missing; give a list with {CIBA_GRANT}"));
            return None;
        };
        let list = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let others: &[&str] = match self.profile.rules().client_credentials {
            Some(_) => &[REFRESH_GRANT, CLIENT_CREDENTIALS_GRANT],
            None => &[REFRESH_GRANT],
        };
        let fine = list
            .filter(|list| list.contains(&CIBA_GRANT))
            .filter(|list| list.iter().all(|grant| *grant == CIBA_GRANT || others.contains(grant)));
        if fine.is_none() {
            let others = others.join(" or ");
            self.fault("grant_types", &format!("has to be a list with {CIBA_GRANT}, and {others} if need be"));
        }
        fine
    }

    /// CIBA §4: with pairwise names there is a `jwks_uri`, whose host is the sector unless a `sector_identifier_uri` says otherwise.
    fn sector(&self) -> Option<String> {
        let pairwise = match self.members.get("subject_type") {
            None => false,
            Some(_) => self.choice("subject_type", &[("public", false), ("pairwise", true)])?,
        };
        let named = self.members.contains_key("sector_identifier_uri");
        if !pairwise {
            if named {
                self.fault("sector_identifier_uri", "is for clients of subject_type pairwise");
            }
            return None;
        }
        if !self.profile.issuer().offer.pairwise {
            self.fault("subject_type", "pairwise is not offered here; that takes server.pairwise_key");
        }
        if !self.members.contains_key("jwks_uri") {
            self.fault("jwks_uri", "is missing; a pairwise client has its keys there (CIBA 4)");
            return None;
        }
        let uri = self.url(if named { "sector_identifier_uri" } else { "jwks_uri" })?;
        match url::Url::parse(&uri).ok()?.host() {
            Some(Host::Domain(host)) => Some(host.to_owned()),
            _ => None,
        }
    }

    /// RFC 7591 §2: `jwks` or `jwks_uri`, never both.
    fn keys(&self) -> Option<Keys> {
        match (self.members.get("jwks"), self.members.get("jwks_uri")) {
            (Some(jwks), None) => {
                let read = KeySet::parse(jwks.to_string().as_bytes()).map(|set| Keys::Here(Arc::new(set)));
                read.map_err(|why| self.fault("jwks", &why.to_string())).ok()
            }
            (None, Some(_)) => {
                self.callable("jwks_uri");
                self.url("jwks_uri").map(Keys::At)
            }
            (Some(_), Some(_)) => {
                self.fault("jwks", "stands beside jwks_uri; give one of them");
                None
            }
            (None, None) => {
                self.fault("jwks", "is missing; give it, or jwks_uri");
                None
            }
        }
    }

    /// `token_endpoint_auth_method`, and the members that go with it.
    fn authentication(&self, keys: Option<&Keys>) -> Option<Authentication> {
        let offered = self.profile.methods().iter().map(|method| (method.name(), *method)).collect::<Vec<_>>();
        let method = self.choice("token_endpoint_auth_method", &offered)?;
        if method != Method::PrivateKeyJwt && self.members.contains_key("token_endpoint_auth_signing_alg") {
            self.fault("token_endpoint_auth_signing_alg", "is for private_key_jwt");
        }
        if method != Method::TlsClientAuth
            && let Some(stray) = SUBJECTS.into_iter().find(|name| self.members.contains_key(*name))
        {
            self.fault(stray, "is for tls_client_auth");
        }
        match method {
            Method::PrivateKeyJwt => {
                let alg = self.alg("token_endpoint_auth_signing_alg")?;
                self.needs_key(keys, ("token_endpoint_auth_signing_alg", alg));
                Some(Authentication::PrivateKeyJwt(alg))
            }
            Method::TlsClientAuth => {
                if !self.profile.issuer().offer.vouched {
                    let says = "tls_client_auth needs a [client_certificates] section that says who vouches";
                    self.fault("token_endpoint_auth_method", says);
                }
                self.subject().map(Authentication::TlsClientAuth)
            }
            Method::SelfSignedTlsClientAuth => {
                if let Some(Keys::Here(set)) = keys
                    && !set.has_certificates()
                {
                    let says = "has no x5c, where self_signed_tls_client_auth looks for the client's certificates";
                    self.fault("jwks", says);
                }
                Some(Authentication::SelfSignedTlsClientAuth)
            }
        }
    }

    /// RFC 8705 §2.1.2: exactly one of the five.
    fn subject(&self) -> Option<Subject> {
        let given: Vec<&'static str> = SUBJECTS.into_iter().filter(|name| self.members.contains_key(*name)).collect();
        let [name] = given[..] else {
            self.fault("", &format!("needs exactly one of {}", SUBJECTS.join(", ")));
            return None;
        };
        let text = self.string(name)?;
        let read = match name {
            "tls_client_auth_subject_dn" => distinguished_name(text).map(Subject::Dn),
            "tls_client_auth_san_ip" => text.parse().map(Subject::Ip).map_err(|_| "is not an IP address"),
            "tls_client_auth_san_dns" => Ok(Subject::Dns(text.to_owned())),
            "tls_client_auth_san_uri" => Ok(Subject::Uri(text.to_owned())),
            _ => Ok(Subject::Email(text.to_owned())),
        };
        read.map_err(|why| self.fault(name, why)).ok()
    }

    fn scope(&self) -> Option<Vec<String>> {
        let scope: Vec<String> = self.string("scope")?.split(' ').map(str::to_owned).collect();
        let supported = &self.profile.issuer().scopes_supported;
        let foreign = scope.iter().find(|scope| !supported.is_empty() && !supported.contains(scope));
        if let Some(foreign) = foreign {
            let shown = if is_scope_token(foreign) { foreign } else { "something in it" };
            self.fault("scope", &format!("\"{shown}\" is not in server.scopes_supported"));
        }
        Some(scope)
    }

    fn alg(&self, name: &'static str) -> Option<Alg> {
        self.choice(name, &self.profile.algorithms().iter().map(|alg| (alg.name(), *alg)).collect::<Vec<_>>())
    }

    /// The key for `alg` that another member promises; where the keys are elsewhere, time will tell.
    fn needs_key(&self, keys: Option<&Keys>, (member, alg): (&str, Alg)) {
        if let Some(Keys::Here(set)) = keys
            && !set.serves(alg)
        {
            self.fault("jwks", &format!("has no key for {}, which {member} names", alg.name()));
        }
    }

    /// That this server calls URLs of its clients at all.
    fn callable(&self, name: &'static str) {
        if !self.profile.issuer().offer.calls {
            self.fault(name, "needs a [client_endpoints] section that says how this server calls its clients");
        }
    }

    fn url(&self, name: &'static str) -> Option<String> {
        let text = self.string(name)?;
        foreign(text).map_err(|why| self.fault(name, why)).ok().map(|_| text.to_owned())
    }

    fn flag(&self, name: &'static str) -> Option<bool> {
        let value = self.members.get(name)?;
        if !value.is_boolean() {
            self.fault(name, "has to be true or false");
        }
        value.as_bool()
    }

    fn choice<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let Some(value) = self.members.get(name) else {
            self.fault(name, &format!("is missing; give one of: {}", words()));
            return None;
        };
        let found = value.as_str().and_then(|word| choices.iter().find(|(known, _)| *known == word));
        if found.is_none() {
            self.fault(name, &format!("has to be one of: {}", words()));
        }
        found.map(|(_, choice)| *choice)
    }

    fn string(&self, name: &'static str) -> Option<&'a str> {
        let value = self.members.get(name);
        let text = value.and_then(Value::as_str).filter(|text| !text.is_empty());
        if text.is_none() {
            let is = if value.is_some() { "has to be" } else { "is missing; give" };
            self.fault(name, &format!("{is} a string that is not empty"));
        }
        text
    }

    fn fault(&self, member: &'static str, says: &str) {
        self.unfit.borrow_mut().push(Unfit { member, says: says.to_owned() });
    }
}
