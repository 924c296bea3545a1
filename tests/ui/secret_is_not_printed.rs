//! A secret has no Display.

use countersign::secret::Secret;

fn main() {
    println!("{}", Secret::new("hunter2".into()));
}
