//! Several servers of one issuer on one Redis: what one of them did, all know, and nothing is lost or given twice when one ends, or Redis does.

#[path = "../cli/balancer.rs"]
mod balancer;
#[expect(dead_code, reason = "the black box uses the rest")]
#[path = "../black_box/bank.rs"]
mod bank;
#[expect(dead_code, reason = "the black box uses the rest")]
#[path = "../black_box/heard.rs"]
mod heard;
#[expect(dead_code, reason = "the black box uses the rest")]
#[path = "../black_box/prover.rs"]
mod prover;
#[expect(dead_code, reason = "the store's contract uses the rest")]
#[path = "../redis/proxy.rs"]
mod proxy;
#[expect(dead_code, reason = "the black box uses the rest")]
#[path = "../black_box/raw.rs"]
mod raw;
#[expect(dead_code, reason = "the store's contract uses the rest")]
#[path = "../redis/server.rs"]
mod server;
#[expect(dead_code, reason = "the black box uses the rest")]
#[path = "../black_box/teller.rs"]
mod teller;
#[expect(dead_code, reason = "the black box uses the rest")]
#[path = "../black_box/token.rs"]
mod token;
#[expect(dead_code, reason = "the black box uses the rest")]
#[path = "../black_box/tpp.rs"]
mod tpp;
#[expect(dead_code, reason = "the black box uses the rest")]
#[path = "../black_box/wired.rs"]
mod wired;

mod commands;
mod drawn;
mod kept;
mod node;
mod oracle;
mod overheard;
mod process;
mod sales;
mod seen;
mod story;
mod till;

mod across;
mod counted;
mod faults;
mod golden;
mod key_space;
mod one_winner;
mod pings;
mod python;
mod recorded;
mod rotated;
mod unknown;
mod upgraded;
mod versions;
