use super::*;
use crate::species::HEAD_BYTES;

/// A directory in memory, with what a file system would say of it.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, (Vec<u8>, i128, u64)>,
    time: i128,
    inodes: u64,
}

impl Disk {
    /// Writes a file in place; a new one has a new number.
    fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.time += 1;
        self.inodes += 1;
        let inode = self.files.get(path).map_or(self.inodes, |(_, _, inode)| *inode);
        self.files.insert(path.to_owned(), (bytes, self.time, inode));
    }

    /// Puts another file in the place of one.
    fn replace(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.remove(path);
        self.put(path, bytes);
    }

    fn files(&self) -> Vec<FileSeen> {
        let seen = |(path, (bytes, time, inode)): (&String, &(Vec<u8>, i128, u64))| FileSeen {
            path: path.clone(),
            bytes: bytes.len() as u64,
            modified_ns: *time,
            changed_ns: *time,
            inode: *inode,
        };
        self.files.iter().map(seen).collect()
    }

    fn look(&self, watch: &mut Watch, now_ms: i64) -> Vec<Alarm> {
        let files = self.files();
        let answers: Vec<Answer> = watch
            .questions(&files)
            .into_iter()
            .map(|question| match question {
                Question::Head(path) => {
                    let bytes = &self.files[&path].0;
                    let head = bytes[..bytes.len().min(HEAD_BYTES)].to_vec();
                    Answer::Head(path, head)
                }
                Question::Text(path) => {
                    let text = std::str::from_utf8(&self.files[&path].0).is_ok();
                    Answer::Text(path, text)
                }
                Question::Print(path, bytes) => {
                    let content = &self.files[&path].0;
                    let pieces = places(bytes);
                    let pieces = pieces.iter().map(|(at, length)| &content[*at as usize..(at + length) as usize]);
                    let print = print(pieces);
                    Answer::Print(path, print)
                }
            })
            .collect();
        watch.judge(now_ms, &files, &answers)
    }
}

fn sealed(seed: u8, head: &[u8], bytes: usize) -> Vec<u8> {
    let mut content = head.to_vec();
    content.extend((0..bytes).map(|place| (place as u64).wrapping_mul(2_654_435_761).to_be_bytes()[5] ^ seed));
    content
}

fn store() -> Disk {
    let mut disk = Disk::default();
    disk.put("root.key", sealed(1, b"TACETKEY\x01", 280));
    disk.put("tacet.toml", b"[store]\nengine = \"fjall\"\n".to_vec());
    disk.put("store/WITNESS", sealed(2, b"TACETWIT", 8184));
    disk.put("store/LOCK", Vec::new());
    disk.put("store/fjall/lock", Vec::new());
    disk.put("store/fjall/version", b"FJL\x03".to_vec());
    disk.put("store/fjall/0.jnl", [&[1, 1, 0, 0, 0, 2, 0, 0][..], &sealed(3, b"", 90_000)].concat());
    disk.put("store/fjall/keyspaces/1/current", vec![2; 25]);
    for table in 0..20 {
        disk.put(&format!("store/fjall/keyspaces/1/tables/{table}"), sealed(table, b"LSM\x03", 200_000));
    }
    disk.put("index/540963539beaaab952181123c0884eb4/0c154cf532f3c62482dc6255fe7735fa", sealed(5, &[1], 70_000));
    disk.put("index/CURRENT", sealed(6, &[1], 285));
    disk
}

/// A watch that has seen the store for some looks.
fn settled(disk: &Disk) -> Watch {
    let mut watch = Watch::default();
    for look in 0..5 {
        assert_eq!(disk.look(&mut watch, look), [], "look {look}");
    }
    watch
}

fn wires(alarms: &[Alarm]) -> Vec<(Wire, Grade)> {
    alarms.iter().map(|alarm| (alarm.wire, alarm.grade)).collect()
}

#[test]
fn what_the_engine_does_is_no_sign() {
    let mut disk = store();
    let mut watch = settled(&disk);
    for round in 0..50u8 {
        let number = 20 + u64::from(round);
        // A flush, a compaction, a new version, a replaced pointer, a journal that ends, a segment of the index that is replaced.
        let table = format!("store/fjall/keyspaces/1/tables/{number}");
        disk.put(&table, sealed(round, b"LSM\x03", 5_000));
        assert_eq!(disk.look(&mut watch, 100), []);
        disk.put(&table, sealed(round, b"LSM\x03", 90_000));
        disk.files.remove(&format!("store/fjall/keyspaces/1/tables/{}", number - 20));
        disk.replace("store/fjall/keyspaces/1/current", vec![round; 25]);
        disk.put(&format!("store/fjall/keyspaces/1/v{number}"), sealed(round, &[3], 300));
        disk.put(&format!("store/fjall/{number}.jnl"), [&[0; 8][..], &sealed(round, b"", 100)].concat());
        disk.files.remove(&format!("store/fjall/{}.jnl", number.saturating_sub(1)));
        disk.put("store/WITNESS", sealed(round, b"TACETWIT", 8184));
        disk.replace("index/CURRENT", sealed(round, &[1], 285));
        let meta = "index/540963539beaaab952181123c0884eb4/0c154cf532f3c62482dc6255fe7735fa";
        disk.replace(meta, sealed(round, &[1], 60_000 + usize::from(round)));
        assert_eq!(disk.look(&mut watch, 101), [], "round {round}");
    }
}

#[test]
fn a_file_that_grows_after_a_pause_is_no_sign() {
    let mut disk = store();
    let table = "store/fjall/keyspaces/1/tables/99";
    disk.put(table, sealed(9, b"LSM\x03", 50_000));
    let mut watch = settled(&disk);
    disk.put(table, sealed(9, b"LSM\x03", 150_000));
    assert_eq!(disk.look(&mut watch, 9), []);
}

#[test]
fn a_touched_file_is_no_sign() {
    let mut disk = store();
    let mut watch = settled(&disk);
    for table in 0..20 {
        let path = format!("store/fjall/keyspaces/1/tables/{table}");
        let same = disk.files[&path].0.clone();
        disk.put(&path, same);
    }
    assert_eq!(disk.look(&mut watch, 9), [], "its time changed, its content did not");
}

#[test]
fn one_file_encrypted_in_place_is_a_hard_sign_however_it_is_done() {
    let table = "store/fjall/keyspaces/1/tables/7";
    type Way = fn(&mut Vec<u8>);
    let ways: [(&str, Way); 5] = [
        ("whole", |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x5a)),
        ("head only", |bytes| bytes[..1024].iter_mut().for_each(|byte| *byte ^= 0x5a)),
        ("each second piece", |bytes| {
            bytes.chunks_mut(16_384).step_by(2).flatten().for_each(|byte| *byte ^= 0x5a);
        }),
        ("all but the head, and longer", |bytes| {
            bytes[4096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
            bytes.extend([7; 512]);
        }),
        ("shorter", |bytes| bytes.truncate(100_000)),
    ];
    for (name, way) in ways {
        let mut disk = store();
        let mut watch = settled(&disk);
        let mut bytes = disk.files[table].0.clone();
        way(&mut bytes);
        disk.put(table, bytes);
        let alarms = disk.look(&mut watch, 9);
        assert!(alarms.iter().any(|alarm| alarm.grade == Grade::Hard), "{name}: {alarms:?}");
        assert!(alarms[0].detail.contains("store/fjall/keyspaces/1/tables"), "{alarms:?}");
        assert_eq!(disk.look(&mut watch, 10), [], "{name}: said once");
    }
}

#[test]
fn new_files_in_the_place_of_old_ones_are_a_hard_sign() {
    let mut disk = store();
    let mut watch = settled(&disk);
    let path = "store/fjall/keyspaces/1/tables/3";
    let bytes = disk.files.remove(path).unwrap().0;
    disk.put(&format!("{path}.lockbit"), bytes);
    assert_eq!(wires(&disk.look(&mut watch, 9)), [(Wire::Renamed, Grade::Hard)]);

    let mut disk = store();
    let mut watch = settled(&disk);
    disk.replace(path, sealed(200, b"LSM\x03", 200_000));
    assert_eq!(wires(&disk.look(&mut watch, 9)), [(Wire::Rewritten, Grade::Hard)]);

    let mut disk = store();
    let mut watch = settled(&disk);
    disk.put("store/HOW_TO_DECRYPT.txt", b"pay".to_vec());
    assert_eq!(wires(&disk.look(&mut watch, 9)), [(Wire::Note, Grade::Hard)]);
}

#[test]
fn files_that_stay_are_missed_on_the_second_look() {
    for path in ["root.key", "store/WITNESS", "store/fjall/lock", "store/fjall/keyspaces/1/current"] {
        let mut disk = store();
        let mut watch = settled(&disk);
        disk.files.remove(path);
        assert_eq!(disk.look(&mut watch, 9), [], "{path}: a walk may miss a file once");
        assert_eq!(wires(&disk.look(&mut watch, 10)), [(Wire::Gone, Grade::Hard)], "{path}");
        assert_eq!(disk.look(&mut watch, 11), [], "{path}: said once");
    }
}

#[test]
fn heads_and_texts_are_held_to_their_form() {
    let mut disk = store();
    let mut watch = settled(&disk);
    disk.put("tacet.toml", b"[store]\nengine = \"redb\"\n".to_vec());
    assert_eq!(wires(&disk.look(&mut watch, 9)), [(Wire::SettingsChanged, Grade::Soft)]);
    disk.put("tacet.toml", vec![0xff; 40]);
    assert_eq!(wires(&disk.look(&mut watch, 10)), [(Wire::SettingsUnreadable, Grade::Hard)]);
    for path in ["root.key", "store/WITNESS", "store/fjall/0.jnl", "store/fjall/version"] {
        disk.put(path, vec![0xa7; 9000]);
        assert_eq!(wires(&disk.look(&mut watch, 11)).first(), Some(&(Wire::Overwritten, Grade::Hard)), "{path}");
    }
    disk.put("store/fjall/lock", vec![1]);
    assert_eq!(wires(&disk.look(&mut watch, 12)), [(Wire::Overwritten, Grade::Hard)]);
}

#[test]
fn a_foreign_file_is_a_soft_sign_and_three_are_a_hard_one() {
    let mut disk = store();
    disk.put("README.txt", b"what was there before".to_vec());
    let mut watch = Watch::default();
    assert_eq!(wires(&disk.look(&mut watch, 0)), [(Wire::Foreign, Grade::Soft)]);
    for (number, grade) in [(0, Grade::Soft), (1, Grade::Soft), (2, Grade::Hard)] {
        disk.put(&format!("x{number}"), vec![1]);
        let alarms = disk.look(&mut watch, 10 + number);
        assert_eq!(wires(&alarms), [(Wire::Foreign, grade)]);
        assert!(!alarms[0].detail.contains("x0"), "a foreign name is not repeated");
    }
    disk.put("x4", vec![1]);
    assert_eq!(wires(&disk.look(&mut watch, 10 + 2 * WINDOW_MS)), [(Wire::Foreign, Grade::Soft)], "a while later");
}

#[test]
fn a_store_that_loses_most_of_its_bytes_is_a_hard_sign() {
    let mut watch = Watch::default();
    let file = |bytes| FileSeen { path: "store/rows.redb".into(), bytes, modified_ns: 0, changed_ns: 0, inode: 1 };
    assert_eq!(watch.judge(0, &[file(1 << 30)], &[]), []);
    assert_eq!(watch.judge(1, &[file(400 << 20)], &[]), []);
    assert_eq!(wires(&watch.judge(2, &[file(200 << 20)], &[])), [(Wire::Shrunk, Grade::Hard)]);
    assert_eq!(watch.judge(3, &[file(190 << 20)], &[]), []);
}

#[test]
fn a_journal_that_goes_into_tables_is_no_sign() {
    let mut watch = Watch::default();
    let file = |path: &str, bytes, inode| FileSeen { path: path.into(), bytes, modified_ns: 0, changed_ns: 0, inode };
    let (table, journal) = (file("store/keyspaces/0/tables/1", 30 << 20, 1), file("store/0.jnl", 500 << 20, 2));
    assert!(watch.judge(0, &[table.clone(), journal], &[]).iter().all(|alarm| alarm.wire != Wire::Shrunk));
    assert!(watch.judge(1, &[table], &[]).iter().all(|alarm| alarm.wire != Wire::Shrunk));
}

#[test]
fn pieces_are_spread_over_the_whole_file() {
    assert_eq!(places(100), [(0, 100)]);
    let of = places(1 << 20);
    assert_eq!((of.len(), of[0], of[15].0 + of[15].1), (16, (0, 4096), 1 << 20));
    for bytes in [65_537, 100_000, u64::from(u32::MAX)] {
        assert!(places(bytes).iter().all(|(at, length)| at + length <= bytes));
    }
}
