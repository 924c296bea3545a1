//! [`Exchange`]: a request at the token endpoint, which is for one of three grants (RFC 6749 §3.2).

use crate::error::{Reason, Rejection};
use crate::profile::client::{CIBA_GRANT, CLIENT_CREDENTIALS_GRANT, REFRESH_GRANT};
use crate::profile::client_auth;
use crate::profile::client_credentials::ClientCredentials;
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::once::Unspent;
use crate::profile::redemption::Redemption;
use crate::profile::refresh::Refresh;
use crate::profile::sender::{Binding, Sender};
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;
use crate::wire::form::Form;
use crate::wire::inbound::Inbound;

/// What is to be exchanged for tokens. Each has been held against its own rules; there are none for all.
pub enum Exchange {
    /// CIBA §10.1.
    Ciba(Verified<Redemption>),
    /// RFC 6749 §6.
    RefreshToken(Verified<Refresh>),
    /// RFC 6749 §4.4.
    ClientCredentials(Verified<ClientCredentials>),
}

impl Governed for Exchange {
    const RULES: &'static [Rule<Self>] = &[];

    fn client_id(&self) -> Option<&str> {
        match self {
            Self::Ciba(redemption) => redemption.client_id(),
            Self::RefreshToken(refresh) => refresh.client_id(),
            Self::ClientCredentials(own) => own.client_id(),
        }
    }
}

impl Request for Exchange {
    /// Who, then with which key, then for what. The key comes before the state of the request, so that a client without one
    /// hears so while its request is still pending (RFC 9449 §5).
    async fn read(gate: &Gate, inbound: Inbound, unspent: &Unspent) -> Result<Self, Rejection> {
        let form = inbound.form().map_err(malformed(Reason::InvalidRequest, "OAUTH-1"))?;
        let client = client_auth::authenticate(gate, (&inbound, &form), unspent).await?;
        let by = client.client_id.clone();
        let binding = Binding::of(gate, (&inbound, &client), unspent).map_err(|refusal| refusal.by(&by))?;
        Self::parse(gate, &form, Sender { client, binding }).map_err(|refusal| refusal.by(&by))
    }
}

impl Exchange {
    fn parse(gate: &Gate, form: &Form, sender: Sender) -> Result<Self, Rejection> {
        let secret = |name| form.value(name).map(|value| Secret::new(value.to_owned()));
        let scope = || form.value("scope").map(|scope| scope.split(' ').map(str::to_owned).collect());
        let own = gate.profile.rules().client_credentials.is_some();
        match form.value("grant_type") {
            Some(CIBA_GRANT) => gate.hold(Redemption { sender, auth_req_id: secret("auth_req_id") }).map(Self::Ciba),
            Some(REFRESH_GRANT) => {
                let refresh = Refresh { sender, refresh_token: secret("refresh_token"), scope: scope() };
                gate.hold(refresh).map(Self::RefreshToken)
            }
            Some(CLIENT_CREDENTIALS_GRANT) if own => {
                gate.hold(ClientCredentials { sender, scope: scope() }).map(Self::ClientCredentials)
            }
            Some(_) => Err(Rejection::new(Reason::UnsupportedGrantType, "OAUTH-4", "another grant_type")),
            None => Err(Rejection::new(Reason::InvalidRequest, "CIBA-10.1-1", "there is no grant_type")),
        }
    }
}

impl Verified<Exchange> {
    /// Which of them it is. It comes from where they came from, and owes what they owe together.
    pub fn into_grant(self) -> Exchange {
        let (address, unspent) = (self.address(), self.unspent());
        match self.into_request() {
            Exchange::Ciba(redemption) => Exchange::Ciba(redemption.of(address, unspent)),
            Exchange::RefreshToken(refresh) => Exchange::RefreshToken(refresh.of(address, unspent)),
            Exchange::ClientCredentials(own) => Exchange::ClientCredentials(own.of(address, unspent)),
        }
    }
}
