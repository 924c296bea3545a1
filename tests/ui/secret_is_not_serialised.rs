//! A secret goes into no JSON by accident.

use countersign::secret::Secret;

fn main() {
    serde_json::to_string(&Secret::new("hunter2".into())).unwrap();
}
