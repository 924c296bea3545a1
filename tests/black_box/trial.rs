//! [`Trial`]: a till whose calls are right except for one thing, and what has to come of each.

use std::fmt::Display;

use serde_json::Value;

use crate::bank::Bank;
use crate::token::Draft;
use crate::tpp::{Call, Tpp};

/// A till, and the bank that must hear nothing of what is refused.
pub(crate) struct Trial<'a> {
    /// The bank.
    pub(crate) bank: &'a Bank,
    /// The till.
    pub(crate) tpp: Tpp<'a>,
}

impl<'a> Trial<'a> {
    /// Till 7 on trial.
    pub(crate) fn of(bank: &'a Bank) -> Self {
        Self { bank, tpp: bank.tpp() }
    }

    /// The call is refused at `/bc-authorize` and at `/token`. Nobody is prompted, and the till's pending request neither ends nor slows down.
    pub(crate) async fn refuses(&self, case: impl Display, as_what: (u16, &str), change: impl Fn(Call) -> Call) {
        let (status, error) = as_what;
        println!("{case}, at both endpoints");
        let pending = self.tpp.auth_req_id().await;
        self.quietly_refuses(as_what, &change).await;
        println!("and at /token");
        self.tpp.poll_call(&pending, &change).await.refused(status, error);
        self.tpp.poll(&pending).await.refused(400, "authorization_pending");
    }

    /// The call is good at `/bc-authorize` and at `/token`.
    pub(crate) async fn accepts(&self, case: impl Display, change: impl Fn(Call) -> Call) {
        println!("{case}, at both endpoints");
        let pending = self.tpp.backchannel_call(&change).await.text("auth_req_id");
        self.tpp.poll_call(&pending, &change).await.refused(400, "authorization_pending");
    }

    /// CA-1 to CA-17: the assertion is refused at both endpoints.
    pub(crate) async fn refuses_assertion(&self, case: impl Display, change: impl Fn(Draft) -> Draft) {
        self.refuses(case, (401, "invalid_client"), |call| call.assertion(&change)).await;
    }

    /// The assertion is good at both endpoints.
    pub(crate) async fn accepts_assertion(&self, case: impl Display, change: impl Fn(Draft) -> Draft) {
        self.accepts(case, |call| call.assertion(&change)).await;
    }

    /// The assertion is refused with each of `values` as its `claim`.
    pub(crate) async fn refuses_assertions(&self, claim: &str, values: impl IntoIterator<Item = Value>) {
        for value in values {
            self.refuses_assertion(format!("{claim}: {value}"), |a| a.with(claim, value.clone())).await;
        }
    }

    /// The assertion is good with each of `values` as its `claim`.
    pub(crate) async fn accepts_assertions(&self, claim: &str, values: impl IntoIterator<Item = Value>) {
        for value in values {
            self.accepts_assertion(format!("{claim}: {value}"), |a| a.with(claim, value.clone())).await;
        }
    }

    /// The request object is refused, and nobody is prompted.
    pub(crate) async fn refuses_request(&self, case: impl Display, change: impl Fn(Draft) -> Draft) {
        self.refuses_request_call(case, |call| call.request(&change)).await;
    }

    /// The call is refused at `/bc-authorize` for what it asks, and nobody is prompted.
    pub(crate) async fn refuses_request_call(&self, case: impl Display, change: impl Fn(Call) -> Call) {
        println!("{case}");
        self.quietly_refuses((400, "invalid_request"), &change).await;
    }

    /// The request object is good, and the person is prompted.
    pub(crate) async fn accepts_request(&self, case: impl Display, change: impl Fn(Draft) -> Draft) {
        println!("{case}");
        let before = self.bank.phone.prompts().len();
        self.tpp.backchannel(&change).await.ok();
        assert_eq!(self.bank.phone.prompts().len(), before + 1, "{case}");
    }

    /// The request object is refused with each of `values` as its `claim`.
    pub(crate) async fn refuses_requests(&self, claim: &str, values: impl IntoIterator<Item = Value>) {
        for value in values {
            self.refuses_request(format!("{claim}: {value}"), |r| r.with(claim, value.clone())).await;
        }
    }

    /// The request object is good with each of `values` as its `claim`.
    pub(crate) async fn accepts_requests(&self, claim: &str, values: impl IntoIterator<Item = Value>) {
        for value in values {
            self.accepts_request(format!("{claim}: {value}"), |r| r.with(claim, value.clone())).await;
        }
    }

    async fn quietly_refuses(&self, (status, error): (u16, &str), change: impl Fn(Call) -> Call) {
        let before = self.bank.phone.prompts();
        self.tpp.backchannel_call(change).await.refused(status, error);
        assert_eq!(self.bank.phone.prompts(), before, "a refused request prompts nobody");
    }
}
