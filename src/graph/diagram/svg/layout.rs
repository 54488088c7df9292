//! Where each node stands, in pixels.

use crate::graph::diagram::{Diagram, Node};

/// From one line of text to the next.
pub(super) const LINE_HEIGHT: f32 = 17.0;

const PADDING: f32 = 12.0;
const BETWEEN_COLUMNS: f32 = 90.0;
const BETWEEN_ROWS: f32 = 22.0;
const MARGIN: f32 = 50.0;
/// Wide enough for most fonts at 13 px; letters of East Asian scripts take twice as much.
const LETTER: f32 = 7.6;

/// Where everything is.
pub(super) struct Layout {
    /// One for each node.
    pub(super) boxes: Vec<Boxed>,
    pub(super) width: f32,
    pub(super) height: f32,
}

/// One node.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Boxed {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

impl Layout {
    pub(super) fn new(diagram: &Diagram) -> Self {
        let mut boxes: Vec<Boxed> = diagram.nodes.iter().map(|node| size(diagram, node)).collect();
        let (mut x, mut height) = (MARGIN, MARGIN);
        for column in columns(diagram) {
            let width = column.iter().map(|node| boxes[*node].width).fold(0.0, f32::max);
            let mut y = MARGIN;
            for node in column {
                let place = &mut boxes[node];
                *place = Boxed { x: x + (width - place.width) / 2.0, y, ..*place };
                y += place.height + BETWEEN_ROWS;
            }
            x += width + BETWEEN_COLUMNS;
            height = height.max(y);
        }
        Self { boxes, width: (x - BETWEEN_COLUMNS).max(MARGIN) + MARGIN, height: height - BETWEEN_ROWS + MARGIN }
    }
}

fn size(diagram: &Diagram, node: &Node) -> Boxed {
    let broker = node.broker.map(|number| &diagram.brokers[number]);
    let width = |line: &String| -> f32 { line.chars().map(|c| if c >= '\u{1100}' { 2.0 } else { 1.0 }).sum() };
    let lines = node.lines.iter().chain(broker);
    let widest = lines.clone().map(width).fold(0.0, f32::max);
    let count = lines.fold(0.0, |count, _| count + 1.0);
    Boxed { width: (widest * LETTER).ceil() + 2.0 * PADDING, height: count * LINE_HEIGHT + PADDING, ..Boxed::default() }
}

/// The nodes of each column, from top to bottom.
fn columns(diagram: &Diagram) -> Vec<Vec<usize>> {
    let ranks = ranks(diagram);
    let count = ranks.iter().max().map_or(0, |last| last + 1);
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (node, rank) in ranks.iter().enumerate() {
        columns[*rank].push(node);
    }
    // Each near what leads to it: by the middle of their rows. Nodes without any stay where they are.
    let mut row = vec![0.0_f32; ranks.len()];
    for column in &mut columns {
        let mut wanted: Vec<(f32, usize)> = Vec::with_capacity(column.len());
        let mut own = 0.0;
        for &node in column.iter() {
            let before = diagram.edges.iter().filter(|edge| edge.to == node && ranks[edge.from] < ranks[node]);
            let (sum, many) = before.fold((0.0, 0.0), |(sum, many), edge| (sum + row[edge.from], many + 1.0));
            wanted.push((if many > 0.0 { sum / many } else { own }, node));
            own += 1.0;
        }
        wanted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mut at = 0.0;
        for (slot, (_, node)) in column.iter_mut().zip(wanted) {
            *slot = node;
            row[node] = at;
            at += 1.0;
        }
    }
    columns
}

/// The longest way to each node, not counting edges that close a circle.
fn ranks(diagram: &Diagram) -> Vec<usize> {
    let count = diagram.nodes.len();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut is_first = vec![true; count];
    for edge in diagram.edges.iter().filter(|edge| edge.from != edge.to) {
        after[edge.from].push(edge.to);
        is_first[edge.to] = false;
    }
    let order = topological(&after, &is_first);
    let mut place = vec![0; count];
    for (index, node) in order.iter().enumerate() {
        place[*node] = index;
    }
    let mut ranks = vec![0; count];
    for node in order {
        for &to in after[node].iter().filter(|to| place[**to] > place[node]) {
            ranks[to] = ranks[to].max(ranks[node] + 1);
        }
    }
    ranks
}

/// An order in which every edge goes forward but those that close a circle. Without recursion: a chain may be long.
fn topological(after: &[Vec<usize>], is_first: &[bool]) -> Vec<usize> {
    let count = after.len();
    let (firsts, others): (Vec<usize>, Vec<usize>) = (0..count).partition(|node| is_first[*node]);
    let (mut seen, mut done) = (vec![false; count], Vec::with_capacity(count));
    for start in firsts.into_iter().chain(others) {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut stack = vec![(start, 0)];
        while let Some((node, next)) = stack.pop() {
            match after[node].get(next) {
                Some(&to) => {
                    stack.push((node, next + 1));
                    if !seen[to] {
                        seen[to] = true;
                        stack.push((to, 0));
                    }
                }
                None => done.push(node),
            }
        }
    }
    done.reverse();
    done
}
