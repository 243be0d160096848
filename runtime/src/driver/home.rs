//! Runtimes by number: a shard of each that lives, for what was made in one runtime and is used in another, or in none.
//!
//! Locked only then. A runtime enters when it is made and leaves when it is gone; between its end and that its shard is
//! closed, which counts as gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use super::shard::Shard;

static HOMES: RwLock<BTreeMap<u32, Weak<Shard>>> = RwLock::new(BTreeMap::new());

/// The runtime of that number lives, and this is one of its shards.
pub(crate) fn enter_home(runtime: u32, shard: &Arc<Shard>) {
    HOMES.write().insert(runtime, Arc::downgrade(shard));
}

/// The runtime is gone.
pub(crate) fn leave_home(runtime: u32) {
    HOMES.write().remove(&runtime);
}

/// A shard of the runtime, if that has not ended.
pub(super) fn shard_of(runtime: u32) -> Option<Arc<Shard>> {
    let shard = HOMES.read().get(&runtime).and_then(Weak::upgrade)?;
    (!shard.is_closed()).then_some(shard)
}
