//! The workloads on ringway, and those that only ringway can run.

use std::sync::Arc;

use ::ringway as rt;
use ::ringway::time::delay_queue;

use crate::Run;
use workloads::fs::{BLOCK_BYTES, Blocks, ENTRIES, READS, Tree, random_offsets};

#[expect(
    clippy::duplicate_mod,
    reason = "the same source is compiled for each peer"
)]
#[path = "workloads/mod.rs"]
pub mod workloads;

/// Random blocks of a cached file, each read at its position into a buffer that goes round.
pub fn read_at() -> Run {
    let blocks = Blocks::write();
    workloads::on_worker(move |batches| {
        let blocks = blocks.clone();
        async move {
            let file = rt::fs::File::open(blocks.path()).await.unwrap();
            let mut buffer = vec![0; BLOCK_BYTES];
            for offset in random_offsets(batches * READS) {
                let (result, returned) = file.read_at(buffer, offset).await;
                assert_eq!(result.unwrap(), BLOCK_BYTES);
                buffer = returned;
            }
        }
    })
}

/// Everything in a tree, with its status.
pub fn walk() -> Run {
    let tree = Arc::new(Tree::new());
    workloads::on_worker(move |batches| {
        let tree = tree.clone();
        async move {
            for _ in 0..batches {
                let mut walk = rt::fs::walk(tree.root()).with_status(true);
                let mut count = 0;
                while let Some(entry) = walk.next().await {
                    assert!(entry.unwrap().status().is_some());
                    count += 1;
                }
                assert_eq!(count, ENTRIES);
            }
        }
    })
}
