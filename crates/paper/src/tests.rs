//! Papers: what stands on them stands in the file, in its order and on every page where it must.

use super::*;

fn paper(blocks: Vec<Block>) -> Paper {
    Paper {
        language: "fr".into(),
        title: "Relevé des accès à votre dossier".into(),
        about: "Zélie Aubrac, dossier p1".into(),
        foot: "Hôpital de l’Épreuve".into(),
        counting: "page {page} sur {pages}".into(),
        blocks,
    }
}

fn rows(count: usize) -> Table {
    let row = |number: usize| {
        vec![
            format!("2026-03-{:02} 08:{:02}", number / 60 % 28 + 1, number % 60),
            format!("Dr Œuvrard-Nguyễn n° {number}"),
            { "Résultats d’analyses, imagerie, ".repeat(number % 7 + 1) },
        ]
    };
    Table {
        columns: vec![("Quand".into(), 2), ("Qui".into(), 3), ("Quoi".into(), 4)],
        rows: (0..count).map(row).collect(),
    }
}

/// The pages that a file says it has.
fn pages(pdf: &[u8]) -> usize {
    let text = String::from_utf8_lossy(pdf);
    let at = text.find("/Count ").expect("pages are counted");
    text[at + 7..].chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn the_same_paper_is_the_same_bytes() {
    let blocks = vec![
        Block::Heading(1, "Résumé".into()),
        Block::Text("Rien à signaler.".into()),
        Block::List(vec!["Un".into(), "Deux".into()]),
        Block::Heading(2, "Détail — محمد علي, 李".into()),
        Block::Table(rows(300)),
    ];
    let pdf = paper(blocks.clone()).to_pdf().unwrap();
    assert!(pdf.starts_with(b"%PDF-1.7") && pdf.len() < 600_000, "{}", pdf.len());
    assert_eq!(pdf, paper(blocks.clone()).to_pdf().unwrap());
    assert!(pages(&pdf) > 5, "{}", pages(&pdf));
    let text = String::from_utf8_lossy(&pdf);
    assert!(text.contains("pdfuaid") && text.contains("/StructTreeRoot") && text.contains("/Lang"));
    assert!(!text.contains("CreationDate"), "no clock is in it");
    let laid =
        layout::lay_out(&layout::Work::of_paper(&paper(blocks)), &fonts::Fonts::new().unwrap(), PAGES_MAX).unwrap();
    assert_eq!(laid.pages.len(), pages(&pdf));
    for (number, page) in laid.pages.iter().enumerate() {
        let has = |wanted: &str| {
            page.marks.iter().any(|mark| matches!(mark, layout::Mark::Text { text, .. } if text == wanted))
        };
        assert!(has("Zélie Aubrac, dossier p1") && has(&format!("page {} sur {}", number + 1, laid.pages.len())));
        assert!(number == 0 || has("Quand"), "the columns are named on each page");
    }
}

#[test]
fn nothing_stands_beside_the_page() {
    let blocks = vec![Block::Table(rows(200)), Block::Text("mot ".repeat(3000)), Block::Text("x".repeat(5000))];
    let fonts = fonts::Fonts::new().unwrap();
    let laid = layout::lay_out(&layout::Work::of_paper(&paper(blocks)), &fonts, PAGES_MAX).unwrap();
    for page in &laid.pages {
        for mark in &page.marks {
            let layout::Mark::Text { x, y, size, bold, text, .. } = mark else { continue };
            assert!(*x >= 40.0 && x + fonts.width(text, *bold) * size <= layout::PAGE.0 - 40.0, "{text}");
            assert!(*y >= 30.0 && *y <= layout::PAGE.1 - 20.0, "{text}");
        }
    }
}

#[test]
fn a_cell_longer_than_a_page_goes_on() {
    let long: String = (0..3000).map(|number| format!("mot{number} ")).collect();
    let table = Table { columns: vec![("A".into(), 1), ("B".into(), 1)], rows: vec![vec![long, "court".into()]] };
    let laid = layout::lay_out(
        &layout::Work::of_paper(&paper(vec![Block::Table(table)])),
        &fonts::Fonts::new().unwrap(),
        PAGES_MAX,
    )
    .unwrap();
    assert!(laid.pages.len() > 3);
    let all: Vec<&str> = (laid.pages.iter().flat_map(|page| &page.marks))
        .filter_map(|mark| match mark {
            layout::Mark::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .flat_map(|line| line.split(' '))
        .collect();
    for number in 0..3000 {
        assert!(all.contains(&format!("mot{number}").as_str()), "mot{number}");
    }
}

#[test]
fn too_much_and_no_table_are_refused() {
    assert!(matches!(
        paper(vec![Block::Table(rows(2000))]).to_pdf_within(10),
        Err(PaperError::TooLong { pages_max: 10 })
    ));
    for columns in [0, COLUMNS_MAX + 1] {
        let table = Table { columns: vec![("x".into(), 1); columns], rows: Vec::new() };
        assert!(matches!(paper(vec![Block::Table(table)]).to_pdf(), Err(PaperError::Table)));
    }
    let table = Table { columns: vec![("x".into(), 1)], rows: vec![vec![]] };
    assert!(matches!(paper(vec![Block::Table(table)]).to_pdf(), Err(PaperError::Table)));
    // Hostile texts: nothing but blanks, controls, nothing at all.
    for text in ["", "   ", "\0\u{202e}\n\n\t", "\u{e000}\u{10ffff}\u{300}\u{300}"] {
        let table = Table { columns: vec![(text.into(), 1)], rows: vec![vec![text.into()]] };
        let blocks = vec![
            Block::Heading(1, format!("x{text}")),
            Block::Text(text.into()),
            Block::List(vec![text.into(), "a".into()]),
            Block::Table(table),
        ];
        paper(blocks).to_pdf().unwrap_or_else(|error| panic!("{text:?}: {error}"));
    }
}

#[test]
fn each_chapter_has_its_own_pages_and_the_list_says_which() {
    let chapter = |name: &str, rows_count| Chapter {
        title: String::new(),
        about: vec![name.into(), "né le 01/02/1950".into()],
        code: Some("279035121518989".into()),
        blocks: vec![
            Block::Frame(vec!["ALERTE".into(), "Isolement ".repeat(40)]),
            Block::Table(rows(rows_count)),
            Block::Grid(Grid {
                columns: vec![Column { title: "Note".into(), share: 1, bold: false }],
                rows: vec![GridRow { cells: vec![String::new()], height: 60, page_of: None }; 20],
                boxed: true,
            }),
        ],
    };
    let list = |chapter: usize| GridRow { cells: vec!["nom".into(), String::new()], height: 0, page_of: Some(chapter) };
    let column = |title: &str| Column { title: title.into(), share: 1, bold: true };
    let first = Chapter {
        title: "Service".into(),
        blocks: vec![Block::Grid(Grid {
            columns: vec![column("Patient"), column("Page")],
            rows: vec![list(1), list(2)],
            boxed: false,
        })],
        ..Chapter::default()
    };
    let book = Book {
        language: "fr".into(),
        title: "Service".into(),
        foot: "fait à 12:00".into(),
        counting: "page {page} sur {pages}".into(),
        chapters: vec![first, chapter("AUBRAC Zélie", 90), chapter("NGUYỄN An", 2)],
    };
    let laid = layout::lay_out(&layout::Work::of_book(&book), &fonts::Fonts::new().unwrap(), PAGES_MAX).unwrap();
    let has = |page: &layout::Page, wanted: &str| {
        page.marks.iter().any(|mark| matches!(mark, layout::Mark::Text { text, .. } if text == wanted))
    };
    let of =
        |name: &str| -> Vec<usize> { (1..=laid.pages.len()).filter(|page| has(&laid.pages[page - 1], name)).collect() };
    let (one, other) = (of("AUBRAC Zélie"), of("NGUYỄN An"));
    assert!(one.len() > 2 && other.len() > 1 && one.iter().all(|page| !other.contains(page)));
    assert!(has(&laid.pages[0], &one[0].to_string()) && has(&laid.pages[0], &other[0].to_string()));
    assert_eq!(one.len() + other.len() + 1, laid.pages.len());
    for page in one.into_iter().chain(other) {
        let marks = &laid.pages[page - 1].marks;
        assert!(marks.iter().any(|mark| matches!(mark, layout::Mark::Bars { .. })), "page {page}");
        for mark in marks {
            if let layout::Mark::Line { from, to, .. } = mark {
                assert!(from.0 >= 40.0 && to.0 <= layout::PAGE.0 - 40.0 && from.1.max(to.1) < layout::PAGE.1 - 50.0);
            }
        }
    }
    assert!(book.to_pdf().unwrap().starts_with(b"%PDF-1.7"));
}

/// Notes once began at the end of a page with a single row, the others overleaf.
#[test]
fn rows_to_be_written_into_do_not_stand_alone_at_the_end_of_a_page() {
    let fonts = fonts::Fonts::new().unwrap();
    let mut began = Vec::new();
    for lines in 0..50 {
        let column = |title: &str| Column { title: title.into(), share: 1, bold: false };
        let row = GridRow { cells: vec![String::new(); 2], height: 34, page_of: None };
        let mut blocks = vec![Block::Text("Une ligne.".into()); lines];
        blocks.push(Block::Heading(2, "Notes".into()));
        blocks.push(Block::Grid(Grid {
            columns: vec![column("Heure"), column("Note")],
            rows: vec![row; 9],
            boxed: true,
        }));
        let laid = layout::lay_out(&layout::Work::of_paper(&paper(blocks)), &fonts, PAGES_MAX).unwrap();
        let (_, page, y) = *laid.headings.last().unwrap();
        // The foot of an A4 page begins at some 800 points.
        assert!(y + 4.0 * 34.0 < 800.0, "{lines} lines: the heading is at {y}");
        let titles = |page: &layout::Page| {
            page.marks.iter().any(|mark| matches!(mark, layout::Mark::Text { text, .. } if text == "Heure"))
        };
        assert!(titles(&laid.pages[page]), "the table begins below its heading");
        began.push(page);
    }
    assert_eq!((began.first(), began.last()), (Some(&0), Some(&1)));
}

/// The last line at the head of a page was once left out where a long name had taken its place.
#[test]
fn a_long_name_leaves_room_for_all_of_the_head() {
    let endless = "Anne-Élisabeth-Marguerite ".repeat(40);
    for name in ["Jeanne Marguerite Raphaëlle DE LA ROCHEFOUCAULD", &endless] {
        head_of(name);
    }
}

fn head_of(name: &str) {
    let chapter = Chapter {
        title: String::new(),
        about: vec![
            name.into(),
            "né(e) le 04/04/1947 (79 ans) · F".into(),
            "INS 247049403828008 (NIR TEST) · IPP 84820157936".into(),
            "lit 1 · patient 1/127 · feuille 20261122-1205-7K3Q-012-R4TWX".into(),
        ],
        code: Some("247049403828008".into()),
        blocks: vec![Block::Text("x".into())],
    };
    let book = Book {
        language: "fr".into(),
        title: "t".into(),
        foot: "f".into(),
        counting: "{page}/{pages}".into(),
        chapters: vec![chapter],
    };
    let laid = layout::lay_out(&layout::Work::of_book(&book), &fonts::Fonts::new().unwrap(), PAGES_MAX).unwrap();
    let texts = laid.pages[0].marks.iter().filter_map(|mark| match mark {
        layout::Mark::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let texts = texts.collect::<Vec<_>>().join("\n");
    assert!(texts.contains("lit 1 · patient 1/127 · feuille 20261122-1205-7K3Q-012-R4TWX"), "on one line\n{texts}");
    assert_eq!(texts.contains('…'), name.len() > 500, "what is cut is said to be cut");
}
