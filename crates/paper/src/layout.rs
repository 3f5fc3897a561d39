//! What stands where: lines on pages, and the parts of the paper that they belong to.

use crate::fonts::Fonts;
use crate::{Block, COLUMNS_MAX, Paper, PaperError, TEXT_BYTES_MAX, Table};

/// Width and height of A4, in points (1/72 inch).
pub(crate) const PAGE: (f32, f32) = (595.28, 841.89);
const LEFT: f32 = 48.0;
const RIGHT: f32 = PAGE.0 - 48.0;
const WIDTH: f32 = RIGHT - LEFT;
const TOP: f32 = 40.0;
/// No line of the text stands below this.
const BOTTOM: f32 = PAGE.1 - 64.0;
const FOOT: f32 = PAGE.1 - 44.0;

const TITLE_SIZE: f32 = 17.0;
const TEXT_SIZE: f32 = 9.5;
const CELL_SIZE: f32 = 8.0;
const SMALL_SIZE: f32 = 7.5;
/// Height of a line, in parts of the size of its letters.
const LEADING: f32 = 1.32;
/// Between a line of a table and its text.
const CELL_GAP: f32 = 3.0;
/// Most lines of what stands at the top of every page.
const ABOUT_LINES_MAX: usize = 4;

/// What a part of the paper is, for who has it read aloud.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Part {
    Heading(u8, String),
    Text,
    List,
    Item,
    Table,
    Head,
    Body,
    Row,
    HeadCell,
    Cell,
}

/// A part with those in it, by their places.
pub(crate) struct Node {
    pub(crate) part: Part,
    pub(crate) children: Vec<usize>,
}

/// To what a text belongs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Belongs {
    /// This part.
    Node(usize),
    /// The frame of the page.
    Frame,
}

pub(crate) enum Mark {
    Text { x: f32, y: f32, size: f32, bold: bool, text: String, belongs: Belongs },
    Rule { y: f32, weight: f32 },
}

#[derive(Default)]
pub(crate) struct Page {
    pub(crate) marks: Vec<Mark>,
}

/// A paper with a place for everything.
pub(crate) struct Laid {
    pub(crate) pages: Vec<Page>,
    pub(crate) nodes: Vec<Node>,
    /// The parts that are in no other, in their order.
    pub(crate) roots: Vec<usize>,
    /// Headings: the part's place, the page, how far down.
    pub(crate) headings: Vec<(usize, usize, f32)>,
}

struct Setter<'a> {
    fonts: &'a Fonts,
    laid: Laid,
    /// How far down the page is full.
    y: f32,
    about: Vec<String>,
    pages_max: usize,
}

pub(crate) fn lay_out(paper: &Paper, fonts: &Fonts, pages_max: usize) -> Result<Laid, PaperError> {
    let mut about = fonts.lines(&fonts.printable(bounded(&paper.about)), true, WIDTH / TEXT_SIZE);
    about.truncate(ABOUT_LINES_MAX);
    let laid = Laid { pages: Vec::new(), nodes: Vec::new(), roots: Vec::new(), headings: Vec::new() };
    let mut setter = Setter { fonts, laid, y: 0.0, about, pages_max };
    setter.new_page()?;
    setter.heading(0, &paper.title)?;
    for block in &paper.blocks {
        match block {
            Block::Heading(level, text) => setter.heading((*level).clamp(1, 3), text)?,
            Block::Text(text) => setter.text(text)?,
            Block::List(items) => setter.list(items)?,
            Block::Table(table) => setter.table(table)?,
        }
    }
    let Setter { mut laid, .. } = setter;
    let pages = laid.pages.len();
    for (place, page) in laid.pages.iter_mut().enumerate() {
        foot(paper, fonts, page, place + 1, pages);
    }
    Ok(laid)
}

fn foot(paper: &Paper, fonts: &Fonts, page: &mut Page, number: usize, pages: usize) {
    let counting = paper.counting.replace("{page}", &number.to_string()).replace("{pages}", &pages.to_string());
    let counting = fonts.printable(&counting).into_owned();
    let wide = fonts.width(&counting, false) * SMALL_SIZE;
    let room = (WIDTH - wide - 12.0) / SMALL_SIZE;
    page.marks.push(Mark::Rule { y: FOOT - 11.0, weight: 0.4 });
    let lines = fonts.lines(&fonts.printable(bounded(&paper.foot)), false, room);
    let mut y = FOOT;
    for text in lines.into_iter().take(2) {
        page.marks.push(Mark::Text { x: LEFT, y, size: SMALL_SIZE, bold: false, text, belongs: Belongs::Frame });
        y += SMALL_SIZE * LEADING;
    }
    let x = RIGHT - wide;
    let (y, size, belongs) = (FOOT, SMALL_SIZE, Belongs::Frame);
    page.marks.push(Mark::Text { x, y, size, bold: false, text: counting, belongs });
}

/// As much of a text as is taken.
fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
}

impl Setter<'_> {
    fn new_page(&mut self) -> Result<(), PaperError> {
        if self.laid.pages.len() >= self.pages_max {
            return Err(PaperError::TooLong { pages_max: self.pages_max });
        }
        let mut page = Page::default();
        let mut y = TOP + TEXT_SIZE;
        for text in self.about.clone() {
            let (size, belongs) = (TEXT_SIZE, Belongs::Frame);
            page.marks.push(Mark::Text { x: LEFT, y, size, bold: true, text, belongs });
            y += TEXT_SIZE * LEADING;
        }
        page.marks.push(Mark::Rule { y: y - TEXT_SIZE * 0.7, weight: 0.8 });
        self.laid.pages.push(page);
        self.y = y + 6.0;
        Ok(())
    }

    fn node(&mut self, part: Part, parent: Option<usize>) -> usize {
        let place = self.laid.nodes.len();
        self.laid.nodes.push(Node { part, children: Vec::new() });
        match parent.and_then(|parent| self.laid.nodes.get_mut(parent)) {
            Some(parent) => parent.children.push(place),
            None => self.laid.roots.push(place),
        }
        place
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.laid.pages.last_mut() {
            page.marks.push(mark);
        }
    }

    /// Makes sure that there is room for this much; a new page where there is none.
    fn room(&mut self, height: f32) -> Result<(), PaperError> {
        if self.y + height > BOTTOM { self.new_page() } else { Ok(()) }
    }

    /// Lines below each other, over as many pages as they need.
    fn lines(&mut self, text: &str, x: f32, size: f32, bold: bool, node: usize) -> Result<(), PaperError> {
        let text = self.fonts.printable(bounded(text)).into_owned();
        for text in self.fonts.lines(&text, bold, (RIGHT - x) / size) {
            self.room(size * LEADING)?;
            let y = self.y + size;
            self.mark(Mark::Text { x, y, size, bold, text, belongs: Belongs::Node(node) });
            self.y += size * LEADING;
        }
        Ok(())
    }

    fn heading(&mut self, level: u8, text: &str) -> Result<(), PaperError> {
        let (size, before) = match level {
            0 => (TITLE_SIZE, 4.0),
            1 => (13.0, 14.0),
            2 => (10.5, 10.0),
            _ => (TEXT_SIZE, 6.0),
        };
        // A heading stays with some lines of what comes after it.
        self.room(before + size * LEADING + 4.0 * TEXT_SIZE * LEADING)?;
        self.y += before;
        let node = self.node(Part::Heading(level + 1, text.to_owned()), None);
        let page = self.laid.pages.len().saturating_sub(1);
        self.laid.headings.push((node, page, self.y));
        self.lines(text, LEFT, size, true, node)?;
        self.y += if level == 0 { 6.0 } else { 3.0 };
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), PaperError> {
        let node = self.node(Part::Text, None);
        self.lines(text, LEFT, TEXT_SIZE, false, node)?;
        self.y += 4.0;
        Ok(())
    }

    fn list(&mut self, items: &[String]) -> Result<(), PaperError> {
        let list = self.node(Part::List, None);
        for item in items {
            let node = self.node(Part::Item, Some(list));
            self.room(TEXT_SIZE * LEADING)?;
            let (x, y) = (LEFT + 4.0, self.y + TEXT_SIZE);
            let (text, belongs) = ("•".to_owned(), Belongs::Frame);
            self.mark(Mark::Text { x, y, size: TEXT_SIZE, bold: false, text, belongs });
            self.lines(item, LEFT + 16.0, TEXT_SIZE, false, node)?;
            self.y += 2.0;
        }
        self.y += 3.0;
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Result<(), PaperError> {
        let columns = table.columns.len();
        if columns == 0 || columns > COLUMNS_MAX || table.rows.iter().any(|row| row.len() != columns) {
            return Err(PaperError::Table);
        }
        let shares: f32 = table.columns.iter().map(|(_, share)| f32::from((*share).max(1))).sum();
        let mut x = LEFT;
        let places: Vec<(f32, f32)> = (table.columns.iter())
            .map(|(_, share)| {
                let (at, width) = (x, WIDTH * f32::from((*share).max(1)) / shares);
                x += width;
                (at, width - 2.0 * CELL_GAP)
            })
            .collect();
        let cell = |text: &str, bold: bool, width: f32| {
            self.fonts.lines(&self.fonts.printable(bounded(text)), bold, width / CELL_SIZE)
        };
        let titles: Vec<Vec<String>> =
            table.columns.iter().zip(&places).map(|((title, _), (_, width))| cell(title, true, *width)).collect();
        let node = self.node(Part::Table, None);
        let head = self.node(Part::Head, Some(node));
        let row = self.node(Part::Row, Some(head));
        let nodes: Vec<usize> = titles.iter().map(|_| self.node(Part::HeadCell, Some(row))).collect();
        // With one row at least.
        self.room(height_of(&titles) + 3.0 * CELL_SIZE * LEADING)?;
        self.titles(&titles, &places, Some(&nodes));
        let body = self.node(Part::Body, Some(node));
        for cells in &table.rows {
            let lines: Vec<Vec<String>> = cells
                .iter()
                .zip(&places)
                .map(|(text, (_, width))| {
                    self.fonts.lines(&self.fonts.printable(bounded(text)), false, width / CELL_SIZE)
                })
                .collect();
            let row = self.node(Part::Row, Some(body));
            let nodes: Vec<usize> = lines.iter().map(|_| self.node(Part::Cell, Some(row))).collect();
            self.row(&lines, &places, &nodes, &titles)?;
        }
        self.y += 8.0;
        Ok(())
    }

    /// What the columns are called: a part of the table where it begins, and of the page's frame where it goes on.
    fn titles(&mut self, titles: &[Vec<String>], places: &[(f32, f32)], nodes: Option<&[usize]>) {
        let most = titles.iter().map(Vec::len).max().unwrap_or(0);
        for (column, (lines, (x, _))) in titles.iter().zip(places).enumerate() {
            let node = nodes.and_then(|nodes| nodes.get(column));
            let belongs = node.map_or(Belongs::Frame, |node| Belongs::Node(*node));
            let mut y = self.y + CELL_GAP + CELL_SIZE;
            for text in lines {
                let (size, text) = (CELL_SIZE, text.clone());
                self.mark(Mark::Text { x: *x, y, size, bold: true, text, belongs });
                y += CELL_SIZE * LEADING;
            }
        }
        self.y += height(most);
        self.mark(Mark::Rule { y: self.y, weight: 0.9 });
    }

    /// A row. One that has more lines than a page has goes on on the next.
    fn row(
        &mut self,
        cells: &[Vec<String>],
        places: &[(f32, f32)],
        nodes: &[usize],
        titles: &[Vec<String>],
    ) -> Result<(), PaperError> {
        let most = cells.iter().map(Vec::len).max().unwrap_or(0);
        let mut first = 0;
        let mut fresh = false;
        while first < most {
            let left = most - first;
            let whole = self.y + height(left) <= BOTTOM;
            if !whole && !fresh {
                self.new_page()?;
                self.titles(titles, places, None);
                fresh = true;
                continue;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "some dozens of lines are on a page"
            )]
            let fit = ((BOTTOM - self.y - 2.0 * CELL_GAP) / (CELL_SIZE * LEADING)).floor().max(1.0) as usize;
            let taken = left.min(if whole { left } else { fit });
            for ((lines, (x, _)), node) in cells.iter().zip(places).zip(nodes) {
                let mut y = self.y + CELL_GAP + CELL_SIZE;
                for text in lines.iter().skip(first).take(taken) {
                    let (size, text, belongs) = (CELL_SIZE, text.clone(), Belongs::Node(*node));
                    self.mark(Mark::Text { x: *x, y, size, bold: false, text, belongs });
                    y += CELL_SIZE * LEADING;
                }
            }
            self.y += height(taken);
            self.mark(Mark::Rule { y: self.y, weight: 0.25 });
            first += taken;
            fresh = false;
        }
        Ok(())
    }
}

/// Height of a row of so many lines.
#[expect(clippy::cast_precision_loss, reason = "some thousands of lines at most")]
fn height(lines: usize) -> f32 {
    lines as f32 * CELL_SIZE * LEADING + 2.0 * CELL_GAP
}

fn height_of(cells: &[Vec<String>]) -> f32 {
    height(cells.iter().map(Vec::len).max().unwrap_or(0))
}
