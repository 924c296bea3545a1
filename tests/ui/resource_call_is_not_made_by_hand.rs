//! A token that is used here comes with what it is bound to, both read from what arrived.

use countersign::profile::resource::ResourceCall;
use countersign::profile::sender::Binding;
use countersign::secret::Secret;

fn forge(token: Secret, binding: Binding) -> ResourceCall {
    ResourceCall { token: Some(token), binding: Some(binding) }
}

fn main() {}
