//! The modules of the official plan about what a client answers to a ping: whatever it is, there is one ping, and the tokens are there.

use std::time::Duration;

use tokio::time::timeout;

use crate::shape::{Shape, Stage};
use crate::teller::{Says, response};

modules!(
    fapi_ciba_id1_ping_backchannel_notification_endpoint_response_has_body: ping,
    fapi_ciba_id1_ping_backchannel_notification_endpoint_response_401: ping,
    fapi_ciba_id1_ping_backchannel_notification_endpoint_response_403: ping,
    fapi_ciba_id1_ping_with_mtls_ciba_notification_endpoint_response_401_and_require_server_does_not_retry: ping,
    fapi_ciba_id1_ping_backchannel_notification_endpoint_return_redirect_request: ping,
);

/// The client answers so; it collects its tokens all the same, and is not called again.
async fn answered(shape: Shape, says: Says) {
    let stage = Stage::answering(shape, says).await;
    stage.flow(&stage.one(), |request| request).await;
    // A retry would come after a second.
    assert!(timeout(Duration::from_millis(1_500), stage.ear.call()).await.is_err(), "one ping is all there is");
}

async fn fapi_ciba_id1_ping_backchannel_notification_endpoint_response_has_body(shape: Shape) {
    answered(shape, response("200 OK", "Content-Type: text/plain\r\n", "thank you")).await;
}

async fn fapi_ciba_id1_ping_backchannel_notification_endpoint_response_401(shape: Shape) {
    answered(shape, response("401 Unauthorized", "", "who?")).await;
}

async fn fapi_ciba_id1_ping_backchannel_notification_endpoint_response_403(shape: Shape) {
    answered(shape, response("403 Forbidden", "", "no")).await;
}

async fn fapi_ciba_id1_ping_with_mtls_ciba_notification_endpoint_response_401_and_require_server_does_not_retry(
    shape: Shape,
) {
    answered(shape, response("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "")).await;
}

async fn fapi_ciba_id1_ping_backchannel_notification_endpoint_return_redirect_request(shape: Shape) {
    // To itself: whoever followed would call a second time.
    answered(shape, response("301 Moved Permanently", "Location: /elsewhere\r\n", "")).await;
}
