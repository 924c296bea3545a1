//! [`Story`]: a bit of everything that a server remembers, and how it goes on.

use http::Method;
use serde_json::json;

use crate::bank::{Bank, client, key};
use crate::heard::Heard;
use crate::node::Nodes;
use crate::tpp::Tpp;
use crate::wired::{is_live, metadata, register, standing, till9};

/// Whom everybody is asked for.
pub(crate) const ALICE: &str = "alice-248289761001";

/// What is there in the middle of everything.
pub(crate) struct Story {
    pub(crate) pending: String,
    pub(crate) approved: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) client_id: String,
    pub(crate) token: String,
}

impl Story {
    /// A client that registered itself and refreshes has something pending, something approved, and tokens; alice was locked once, and has a user code,
    /// which somebody guessed wrong.
    pub(crate) async fn begun(nodes: &Nodes, bank: &Bank) -> Self {
        for word in ["locked", "good"] {
            assert_eq!(standing(bank, ALICE, word).await.status, 204);
        }
        nodes.clock.advance(1);
        let mut members = metadata();
        members["grant_types"] = json!(["urn:openid:params:grant-type:ciba", "refresh_token"]);
        let registered = register(bank, &members, None).await;
        let text = |name: &str| registered.body[name].as_str().expect("a string").to_owned();
        let (client_id, token) = (text("client_id"), text("registration_access_token"));
        let till = registrant(bank, &client_id);
        let (pending, approved) = (till.auth_req_id().await, till.auth_req_id().await);
        till.poll(&pending).await.refused(400, "authorization_pending");
        till.poll(&pending).await.refused(400, "slow_down");
        assert_eq!(bank.approve(&approved).await.status, 204);
        let tokens = till.tokens().await;
        bank.phone.asks_for("alice", "2580");
        coded(bank, "0000").await.refused(400, "invalid_user_code");
        Self {
            pending,
            approved,
            access: tokens.text("access_token"),
            refresh: tokens.text("refresh_token"),
            client_id,
            token,
        }
    }

    /// A call to the client's own registration, not sent yet.
    pub(crate) fn manage(&self, bank: &Bank, method: Method) -> reqwest::RequestBuilder {
        client(None).request(method, bank.url(&format!("/register/{}", self.client_id))).bearer_auth(&self.token)
    }

    /// Everything that was begun comes to its end.
    pub(crate) async fn goes_on(&self, nodes: &Nodes, bank: &Bank) {
        let till = registrant(bank, &self.client_id);
        assert!(is_live(bank, &self.access).await);
        till.userinfo(&self.access).await.ok();
        nodes.clock.advance(8);
        till.poll(&self.pending).await.refused(400, "slow_down");
        assert_eq!(bank.approve(&self.pending).await.status, 204);
        till.poll(&self.pending).await.ok();
        till.poll(&self.approved).await.ok();
        till.refresh(&self.refresh).await.ok();
        for _ in 0..4 {
            coded(bank, "0000").await.refused(400, "invalid_user_code");
        }
        coded(bank, "2580").await.refused(403, "access_denied");
        assert_eq!(till.revoke(&self.refresh).await.status, 200);
        assert!(!is_live(bank, &self.access).await);
        Heard::of(self.manage(bank, Method::GET)).await.ok();
        assert_eq!(Heard::of(self.manage(bank, Method::DELETE)).await.status, 204);
        till.backchannel(|request| request).await.refused(401, "invalid_client");
        assert_eq!(standing(bank, ALICE, "locked").await.status, 204);
        till9(bank).backchannel(|request| request.with("user_code", "2580")).await.refused(403, "access_denied");
    }
}

/// The client that registered itself.
pub(crate) fn registrant<'a>(bank: &'a Bank, client_id: &str) -> Tpp<'a> {
    Tpp::new(bank, client_id, (key("till8.key"), key("till8.key")), Some("till8"))
}

/// Till 9 asks for alice with this code.
pub(crate) async fn coded(bank: &Bank, code: &str) -> Heard {
    till9(bank).backchannel(|request| request.with("user_code", code)).await
}
