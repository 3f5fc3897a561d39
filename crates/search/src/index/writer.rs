//! The library's writer as the index wants it.

use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexWriter};

/// Share of deleted documents in a segment from which it is written anew.
const DELETED_SHARE_MAX: f32 = 0.3;

/// Threads that merge segments: one, since merging must not take the processors from searches.
const MERGE_THREADS: usize = 1;

/// Least memory of the writer that the library takes, in bytes.
const WRITER_BYTES_MIN: usize = 15_000_000;

/// Most memory of the writer, in bytes: beyond it a commit is not cheaper.
const WRITER_BYTES_MAX: usize = 1 << 30;

/// A writer whose operations have numbers above `numbers`. The library names some files by such a number, and a writer begins again at
/// the last commit's: without this, a commit that is tried again would find the names of its files taken by what the first try left.
pub(super) fn new_writer(index: &Index, bytes_max: usize, numbers: u64) -> tantivy::Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(MERGE_THREADS)
        .memory_budget_per_thread(bytes_max.clamp(WRITER_BYTES_MIN, WRITER_BYTES_MAX))
        .build();
    let writer: IndexWriter = index.writer_with_options(options)?;
    prepare_writer(&writer)?;
    while writer.run(Vec::new())? < numbers {}
    let mut policy = LogMergePolicy::default();
    policy.set_del_docs_ratio_before_merge(DELETED_SHARE_MAX);
    writer.set_merge_policy(Box::new(policy));
    Ok(writer)
}

/// What every new writer needs.
///
/// The library gives the first operation the number that the last commit has. A merge that begins then takes it for committed
/// in segments without deletions, and not in those whose deletions have that number; the merged segment forgets it for the latter, and a
/// deleted document stays. An empty group of operations uses that number up.
pub(super) fn prepare_writer(writer: &IndexWriter) -> tantivy::Result<()> {
    writer.run(Vec::new()).map(|_| ())
}
