//! What the first release wrote is read for as long as the version stands: its records, byte for byte, and a story that goes on from them.

use countersign::secret::Digest;

use crate::bank::{certificates, pki};
use crate::kept::Kept;
use crate::node::{NOWHERE, Nodes};
use crate::story::{ALICE, Story, registrant};

const PENDING: &str = "PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP";
const APPROVED: &str = "YYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYY";
const SPENT: &str = "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS";
const ACCESS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const REFRESH: &str = "RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR";
const CLIENT: &str = "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC";
const TOKEN: &str = "TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTT";

/// Families, what their keys are digests of, and the records. In place of what differs from one run to the next stands `<…>`: a time, counted from now; the
/// certificate of till 8, by its digest; its keys.
const RECORDS: [(&str, &[&str], &str); 13] = [
    ("standing", &["sub", ALICE], r#"1{"locked":false,"since":<-9>}"#),
    ("attempts", &["client", "till-9"], r#"1{"count":1,"until":<900>}"#),
    ("attempts", &["hint", "login_hint", "alice"], r#"1{"count":1,"until":<900>}"#),
    (
        "client",
        &["client_id", CLIENT],
        r#"1{"client_id":"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC","issued_at":<-8>,"token":"imUqv3USlZp-z3q-MqK7RjTAsD_JMAiwNl7WeTO_8Aw","members":{"client_name":"Registered shop","jwks":<keys>,"grant_types":["urn:openid:params:grant-type:ciba","refresh_token"],"response_types":[],"backchannel_token_delivery_mode":"poll","backchannel_authentication_request_signing_alg":"ES256","backchannel_user_code_parameter":false,"id_token_signed_response_alg":"ES256","token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"ES256","tls_client_certificate_bound_access_tokens":true,"scope":"openid accounts payments","subject_type":"public","require_signed_request_object":true},"first":{"scope":"openid accounts payments","grant_types":["urn:openid:params:grant-type:ciba","refresh_token"]},"stated":{}}"#,
    ),
    (
        "grant",
        &[PENDING],
        r#"1{"client_id":"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC","sub":"alice-248289761001","asked":{"scope":["openid","accounts"],"acr_wanted":false,"at":<0>,"interval":5,"notify":null},"expires_at":<120>,"state":"pending"}"#,
    ),
    ("pace", &["pace", PENDING, CLIENT], "1<0>"),
    ("slower", &["pace", PENDING, CLIENT], "15"),
    (
        "grant",
        &[APPROVED],
        r#"1{"client_id":"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC","sub":"alice-248289761001","asked":{"scope":["openid","accounts"],"acr_wanted":false,"at":<0>,"interval":5,"notify":null},"expires_at":<120>,"state":{"approved":{"acr":null,"auth_time":<0>}}}"#,
    ),
    ("pace", &["pace", APPROVED, CLIENT], "1null"),
    (
        "access",
        &[ACCESS],
        r#"1{"client_id":"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC","sub":"alice-248289761001","scope":["openid","accounts"],"cnf":{"x5t#S256":"<certificate>"},"acr":null,"auth_time":<0>,"iat":<0>,"exp":<300>,"refresh":"qo_7HFkFSLTuBb6b9PlIvuFA2rYabFPBFQNZHPuwV_8","revoked":false}"#,
    ),
    (
        "refresh",
        &[REFRESH],
        r#"1{"client_id":"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC","sub":"alice-248289761001","scope":["openid","accounts"],"acr":null,"auth_time":<0>,"iat":<0>,"exp":<7776000>,"revoked":false}"#,
    ),
    ("pace", &["pace", SPENT, CLIENT], "1<0>"),
    (
        "grant",
        &[SPENT],
        r#"1{"client_id":"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC","sub":"alice-248289761001","asked":{"scope":["openid","accounts"],"acr_wanted":false,"at":<0>,"interval":5,"notify":null},"expires_at":<120>,"state":{"redeemed":"DwBzhbb51LfusnSGBa_hqYSgo7-j8BTQnip4TOnlzRo"}}"#,
    ),
];

/// What is in `<…>` filled in.
fn filled(record: &str, now: i64) -> String {
    let mut parts = record.split('<');
    let mut text = parts.next().expect("there is a first").to_owned();
    for part in parts {
        let (word, rest) = part.split_once('>').expect("it ends");
        text += &match word {
            "keys" => std::fs::read_to_string(pki().join("till8.jwks.json")).expect("there"),
            "certificate" => Digest::of(certificates("till8").first().expect("it has one")).to_string(),
            seconds => (now + seconds.parse::<i64>().expect("a number")).to_string(),
        };
        text += rest;
    }
    text
}

#[tokio::test]
async fn a_story_of_the_first_release_goes_on() {
    let nodes = Nodes::new();
    let bank = nodes.node(NOWHERE).await;
    let mut kept = Kept::by(&nodes).await;
    for (family, parts, record) in RECORDS {
        let digest = match parts {
            [secret] => Digest::of(secret.as_bytes()),
            parts => Digest::of_parts(parts),
        };
        kept.put(&format!("cs:{family}:{digest}"), filled(record, bank.now()).as_bytes()).await;
    }
    bank.phone.asks_for("alice", "2580");
    let [pending, approved, access, refresh, client_id, token] =
        [PENDING, APPROVED, ACCESS, REFRESH, CLIENT, TOKEN].map(str::to_owned);
    let story = Story { pending, approved, access, refresh, client_id, token };
    registrant(&bank, CLIENT).poll(SPENT).await.refused(400, "invalid_grant");
    story.goes_on(&nodes, &bank).await;
}
