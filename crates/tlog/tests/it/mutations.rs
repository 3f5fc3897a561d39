//! More than two hundred ways of tampering with a published log, each rejected by our verification and, where its program is named, by one in
//! another language. Whoever tampers has the log's key: what is signed anew is found by checkpoints that were kept elsewhere.

use crate::files::*;
use std::collections::BTreeMap;
use tacet_tlog::derive::{Derived, Trusted, verify_files};
use tacet_tlog::merkle::root_of;
use tacet_tlog::tile::encode_tile;
use tacet_tlog::{SignedCheckpoint, SignerKey};

/// Entries of the large log: level 0 has 258 full tiles and a partial one, level 1 a full one and a partial one, level 2 a partial one.
const LARGE: usize = 66_100;

/// Entries of the small log.
const SMALL: usize = 700;

type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// One way of tampering: what it is called, what it changes, and a word of our verification's finding.
struct Mutation {
    name: String,
    changes: Changes,
    /// Whether it is held against a checkpoint that was kept elsewhere.
    with_known: bool,
    /// Whether it is right without that.
    right_alone: bool,
    place: String,
}

struct Suite {
    log: Log,
    key: SignerKey,
    known: Vec<SignedCheckpoint>,
    mutations: Vec<Mutation>,
}

fn bundle_of(entry: usize, size: usize) -> String {
    name("entries", entry / 256, size)
}

/// The path of a file of a level, full or partial.
fn name(level: &str, index: usize, size: usize) -> String {
    let shift = level.parse::<u32>().unwrap_or(0) * 8;
    let width = (size >> shift).saturating_sub(index * 256).min(256);
    if width < 256 { format!("tile/{level}/{index:03}.p/{width}") } else { format!("tile/{level}/{index:03}") }
}

impl Suite {
    fn new(count: usize) -> Self {
        let key = key(1, ORIGIN);
        let log = Log::made_up(count, &key);
        let known = vec![SignedCheckpoint::parse(&log.files["checkpoint"]).unwrap()];
        Self { log, key, known, mutations: Vec::new() }
    }

    fn add(
        &mut self,
        name: impl Into<String>,
        place: &str,
        changes: impl IntoIterator<Item = (String, Option<Vec<u8>>)>,
    ) {
        let changes: Changes = changes.into_iter().collect();
        assert!(changes.iter().any(|(path, bytes)| bytes.as_ref() != self.log.files.get(path)), "nothing changes");
        self.mutations.push(Mutation {
            name: name.into(),
            changes,
            with_known: false,
            right_alone: false,
            place: place.to_owned(),
        });
    }

    /// What turns this log into another one, file by file; files that only this one has are taken away.
    fn becoming(&self, other: &Log) -> Changes {
        let gone =
            self.log.files.keys().filter(|path| !other.files.contains_key(*path)).map(|path| (path.clone(), None));
        let new = other.files.iter().filter(|(path, bytes)| self.log.files.get(*path) != Some(*bytes));
        gone.chain(new.map(|(path, bytes)| (path.clone(), Some(bytes.clone())))).collect()
    }

    /// Another log in the place of this one, signed by the log's own key.
    fn add_whole(&mut self, name: impl Into<String>, other: &Log, place: &str) {
        let changes = self.becoming(other);
        self.mutations.push(Mutation {
            name: name.into(),
            changes,
            with_known: true,
            right_alone: true,
            place: place.to_owned(),
        });
    }

    fn file(&self, path: &str) -> Vec<u8> {
        self.log.files[path].clone()
    }

    fn verify(&self, changes: &Changes, known: &[SignedCheckpoint]) -> Result<Derived, String> {
        let trusted = Trusted {
            log: vec![self.key.verifier()],
            known: known.iter().map(|signed| signed.checkpoint().clone()).collect(),
            ..Trusted::default()
        };
        let mut files = Changed { files: &self.log.files, changes };
        verify_files(&mut files, &trusted, &mut |_, _| ()).map_err(|wrong| wrong.to_string())
    }

    /// Tries all of them; returns how many there were.
    fn run(self, name: &str) -> usize {
        let foreign = Foreign::with(&self.log, &self.key, name);
        let untouched = Changes::new();
        assert_eq!(self.verify(&untouched, &self.known).unwrap().checkpoint, self.log.checkpoint());
        if let Some(foreign) = &foreign {
            let (right, said) = foreign.verify(&self.log, &untouched, &self.known);
            assert!(right, "{said}");
            assert!(said.contains(&format!("{} entries of {ORIGIN}", self.log.entries.len())), "{said}");
        }
        for mutation in &self.mutations {
            let Mutation { name, changes, with_known, right_alone, place } = mutation;
            let known = if *with_known { self.known.as_slice() } else { &[] };
            let wrong = self.verify(changes, known).expect_err(name);
            assert!(wrong.contains(place.as_str()), "{name}: {wrong:?} does not name {place:?}");
            if *right_alone {
                // By itself it is a log like any other: that is what checkpoints kept elsewhere are for.
                self.verify(changes, &[]).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            }
            if let Some(foreign) = &foreign {
                let (right, said) = foreign.verify(&self.log, changes, known);
                assert!(!right, "{name}: the other verifier took it: {said}");
            }
        }
        // Everything was put back between.
        if let Some(foreign) = &foreign {
            assert!(foreign.verify(&self.log, &untouched, &self.known).0);
        }
        self.mutations.len()
    }
}

fn flipped(mut bytes: Vec<u8>, place: usize) -> Option<Vec<u8>> {
    bytes[place] ^= 1;
    Some(bytes)
}

/// The log's files with these entries in place of its own, but for the levels from `level` on and the checkpoint: hashes are fixed below it.
fn fixed_below(suite: &Suite, entries: Vec<Vec<u8>>, level: u32) -> Changes {
    let other = Log::of(entries, &suite.key);
    let mut changes = suite.becoming(&other);
    changes.retain(|path, _| {
        let of_level = path.strip_prefix("tile/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        path != "checkpoint" && (of_level == "entries" || of_level.parse::<u32>().is_ok_and(|found| found < level))
    });
    changes
}

fn edited(suite: &Suite, entry: usize) -> Vec<Vec<u8>> {
    let mut entries = suite.log.entries.clone();
    entries[entry][0] ^= 1;
    entries
}

/// Entries at the edges of tiles of every level.
const EDGES: [usize; 7] = [0, 255, 256, 30_000, 65_535, 65_536, LARGE - 1];

fn edit_entries(suite: &mut Suite) {
    for entry in EDGES {
        let tile = name("0", entry / 256, LARGE);
        for (what, change) in [
            ("first byte", &(|data: &mut Vec<u8>| data[0] ^= 1) as &dyn Fn(&mut Vec<u8>)),
            ("last byte", &|data| *data.last_mut().unwrap() ^= 0x80),
            ("a byte more", &|data| data.push(0)),
            ("a byte less", &|data| data.truncate(data.len() - 1)),
            ("emptied", &|data| data.clear()),
        ] {
            let mut entries = suite.log.entries.clone();
            change(&mut entries[entry]);
            let changes = fixed_below(suite, entries, 0);
            suite.add(
                format!("entry {entry} edited: {what}"),
                &format!("entry {entry} is not the one that {tile}"),
                changes,
            );
        }
        // Forged with the leaf's hash, then with those above it, fixed in all tiles up to the signed root.
        for (level, place) in [(1, "tile/1/"), (2, "tile/2/"), (3, "checkpoint: it says root")] {
            // At the right edge an entry is under no hash of a higher level.
            let covered = level == 3 || entry < (LARGE >> (8 * level)) << (8 * level);
            let place = if covered { place } else { "checkpoint: it says root" };
            let changes = fixed_below(suite, edited(suite, entry), level);
            suite.add(format!("entry {entry} forged, hashes fixed below level {level}"), place, changes);
        }
        let fork = Log::of(edited(suite, entry), &suite.key);
        suite.add_whole(format!("entry {entry} forged and all signed anew"), &fork, "history was changed");
    }
}

fn edit_tiles(suite: &mut Suite) {
    let tiles: Vec<String> =
        [("0", 0), ("0", 1), ("0", 117), ("0", 255), ("0", 256), ("0", 258), ("1", 0), ("1", 1), ("2", 0)]
            .into_iter()
            .map(|(level, index)| name(level, index, LARGE))
            .collect();
    for path in &tiles {
        let bytes = suite.file(path);
        for place in [0, bytes.len() / 2, bytes.len() - 1] {
            let named = if path.starts_with("tile/0/") { "is not the one that tile/0/" } else { path.as_str() };
            suite.add(format!("{path}: byte {place} changed"), named, [(path.clone(), flipped(bytes.clone(), place))]);
        }
        let last = bytes.len() - 1;
        for (what, other) in [
            ("cut by a byte", bytes[..last].to_vec()),
            ("cut by a hash", bytes[..bytes.len() - 32].to_vec()),
            ("emptied", Vec::new()),
            ("a byte more", [bytes.as_slice(), &[0]].concat()),
            ("a hash more", [bytes.as_slice(), &bytes[..32]].concat()),
        ] {
            suite.add(format!("{path}: {what}"), path, [(path.clone(), Some(other))]);
        }
        suite.add(format!("{path}: dropped"), &format!("{path} is missing"), [(path.clone(), None)]);
    }
    for (one, other) in [(0, 1), (5, 200), (254, 255)] {
        let paths = [name("0", one, LARGE), name("0", other, LARGE)];
        let changes =
            [(paths[0].clone(), Some(suite.file(&paths[1]))), (paths[1].clone(), Some(suite.file(&paths[0])))];
        suite.add(format!("{} and {} swapped", paths[0], paths[1]), &paths[0], changes);
    }
    // Two hashes within a tile.
    for path in [name("0", 7, LARGE), name("1", 0, LARGE), name("1", 1, LARGE)] {
        let mut hashes: Vec<Vec<u8>> = suite.file(&path).chunks(32).map(<[u8]>::to_vec).collect();
        hashes.swap(0, 1);
        suite.add(format!("{path}: hashes swapped"), &path, [(path.clone(), Some(hashes.concat()))]);
    }
    // Every tile as that of another history, and the entries as they were.
    let other = Log::of(edited(suite, 40_000), &suite.key);
    let changes: Changes = suite.becoming(&other).into_iter().filter(|(path, _)| !path.contains("entries")).collect();
    suite.add("all tiles of another history", "entry 40000 is not the one that tile/0/156", changes);
}

fn edit_bundles(suite: &mut Suite) {
    for entry in [0, 300, 65_400, LARGE - 1] {
        let path = bundle_of(entry, LARGE);
        let bytes = suite.file(&path);
        for (what, other) in [
            ("cut by a byte", Some(bytes[..bytes.len() - 1].to_vec())),
            ("cut in its first length", Some(bytes[..1].to_vec())),
            ("emptied", Some(Vec::new())),
            ("a byte more", Some([bytes.as_slice(), &[0]].concat())),
            ("an empty entry more", Some([bytes.as_slice(), &[0, 0]].concat())),
            ("dropped", None),
        ] {
            suite.add(format!("{path}: {what}"), &path, [(path.clone(), other)]);
        }
    }
    for (one, other) in [(0, 1), (255, 256), (1000, 40_000), (65_535, 65_536), (LARGE - 2, LARGE - 1)] {
        let mut entries = suite.log.entries.clone();
        entries.swap(one, other);
        let changes = fixed_below(suite, entries.clone(), 0);
        suite.add(format!("entries {one} and {other} swapped"), &format!("entry {one} is not"), changes);
        let changes = fixed_below(suite, entries, 1);
        suite.add(format!("entries {one} and {other} swapped with their hashes"), "", changes);
    }
    for (one, other) in [(0, 1), (0, 255), (3, 200)] {
        let (from, to) = (bundle_of(one * 256, LARGE), bundle_of(other * 256, LARGE));
        suite.add(
            format!("{from} in the place of {to}"),
            &format!("entry {}", other * 256),
            [(to.clone(), Some(suite.file(&from)))],
        );
        let tiles = (name("0", one, LARGE), name("0", other, LARGE));
        let changes = [(to, Some(suite.file(&from))), (tiles.1, Some(suite.file(&tiles.0)))];
        suite.add(format!("bundle and tile {one} in the place of {other}"), "tile/1/000", changes);
    }
    // An entry taken out, the others moved up and an earlier one put at the end, so that the number stays.
    for entry in [0, 500, 65_535] {
        let mut entries = suite.log.entries.clone();
        let removed = entries.remove(entry);
        entries.push(removed);
        let changes = fixed_below(suite, entries.clone(), 0);
        suite.add(format!("entry {entry} moved to the end"), &format!("entry {entry} is not"), changes);
        suite.add_whole(
            format!("entry {entry} moved to the end, all signed anew"),
            &Log::of(entries, &suite.key),
            "history was changed",
        );
    }
}

fn set_back_and_fork(suite: &mut Suite) {
    for size in [0, 1, 255, 256, 65_535, 65_536, LARGE - 1] {
        let back = Log::of(suite.log.entries[..size].to_vec(), &suite.key);
        suite.add_whole(format!("set back to {size} entries"), &back, "it was set back");
        let mut other = suite.log.entries[..size].to_vec();
        other.extend((0..LARGE + 10 - size).map(|number| vec![number as u8; 9]));
        suite.add_whole(
            format!("forked at {size} entries and longer"),
            &Log::of(other, &suite.key),
            "history was changed",
        );
        // Only the checkpoint is set back: the files of its size are not all there, or it is known to be older.
        let changes = [("checkpoint".to_owned(), back.files.get("checkpoint").cloned())];
        suite.add(format!("the checkpoint of {size} entries"), "it was set back", changes);
        suite.mutations.iter_mut().last().into_iter().for_each(|mutation| mutation.with_known = true);
    }
    // The size alone is signed anew.
    for size in [LARGE - 1, LARGE + 1] {
        let signed = signed(&suite.key, size as u64, suite.log.checkpoint().root()).encode().into_bytes();
        suite.add(format!("the root over {size} entries"), "", [("checkpoint".to_owned(), Some(signed))]);
    }
}

#[test]
fn every_tampered_log_is_rejected_at_every_level() {
    let mut suite = Suite::new(LARGE);
    edit_entries(&mut suite);
    edit_tiles(&mut suite);
    edit_bundles(&mut suite);
    set_back_and_fork(&mut suite);
    let tried = suite.run("large");
    println!("{tried} ways of tampering with a log of {LARGE} entries are rejected");
    assert!(tried >= 200, "{tried}");
}

#[test]
fn every_changed_checkpoint_is_rejected() {
    let mut suite = Suite::new(SMALL);
    let text = suite.file("checkpoint");
    let is_checkpoint = |bytes: Vec<u8>| [("checkpoint".to_owned(), Some(bytes))];
    for place in 0..text.len() {
        suite.add(
            format!("byte {place} of the checkpoint changed"),
            "checkpoint",
            is_checkpoint(flipped(text.clone(), place).unwrap()),
        );
    }
    for place in [0, 1, text.len() / 2, text.len() - 1] {
        suite.add(format!("the checkpoint cut to {place} bytes"), "checkpoint", is_checkpoint(text[..place].to_vec()));
    }
    let whole = String::from_utf8(text.clone()).unwrap();
    let (body, signature) = whole.split_once("\n\n").unwrap();
    let root = root_of(&levels(&suite.log.entries)[0]);
    let size = SMALL as u64;
    let stranger = key(2, ORIGIN);
    let other = key(3, "other.example/ledger");
    let by_stranger = signed(&stranger, size, root).encode();
    for (what, bytes) in [
        ("without a signature", format!("{body}\n\n")),
        ("without its text", format!("\n\n{signature}")),
        ("with a line more", format!("{body}\nmore\n\n{signature}")),
        ("with an empty line more", format!("{body}\n\n\n{signature}")),
        ("with another end of lines", whole.replace('\n', "\r\n")),
        ("twice", format!("{whole}{whole}")),
        ("signed by another key of its name", by_stranger.clone()),
        ("of another log", signed(&other, size, root).encode()),
        ("with another root, signed by a stranger", signed(&stranger, size, root_of(&[])).encode()),
        ("with a size with a zero in front", whole.replacen(&format!("\n{size}\n"), &format!("\n0{size}\n"), 1)),
        ("with a signature that is another's", {
            let theirs = by_stranger.split_once("\n\n").unwrap().1.rsplit_once(' ').unwrap().1.to_owned();
            format!("{body}\n\n{} {theirs}", signature.rsplit_once(' ').unwrap().0)
        }),
        // The id is the log's key's, and the signature that of another text.
        ("with the signature of another checkpoint", {
            let theirs = signed(&suite.key, size - 1, root).encode();
            format!("{body}\n\n{}", theirs.split_once("\n\n").unwrap().1)
        }),
    ] {
        suite.add(format!("the checkpoint {what}"), "checkpoint", is_checkpoint(bytes.into_bytes()));
    }
    suite.add("the checkpoint dropped", "checkpoint is missing", [("checkpoint".to_owned(), None)]);
    let tiles = encode_tile(&levels(&suite.log.entries)[0][..256]);
    assert_eq!(tiles, suite.file("tile/0/000"));
    let tried = suite.run("small");
    println!("{tried} ways of changing a checkpoint are rejected");
    assert!(tried >= 200, "{tried}");
}
