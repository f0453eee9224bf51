"""The search page in a real browser: what a person does, and what they then see."""

import csv
import re
import shutil
from contextlib import contextmanager

import pytest

from eiclip.web.app import create_app
from eiclip.web.clicks import ClickLog
from eiclip.web.engines import Engines
from tests.web.conftest import COUNT, HOSTILE, as_file, photo_of, products, served, write_home, write_photos

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("no chromium on this machine", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-extensions",
]  # fmt: skip
WAIT = 20_000


@pytest.fixture(scope="module")
def browser():
    expect.set_options(timeout=WAIT)
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, site):
    """An open page of the served home."""
    with opened_page(browser, site) as opened:
        yield opened


@contextmanager
def opened_page(browser, site, **more):
    """An open page; at the end it has asked nobody else, and complained of nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=site, **more)
    context.set_default_timeout(WAIT)
    opened, complaints, elsewhere = context.new_page(), [], []
    opened.refused = 0  # requests that a test has the server refuse, which a browser says by itself; None: some
    report = "{0.text} {0.location[url]}".format
    opened.on("console", lambda said: said.type in {"error", "warning"} and complaints.append(report(said)))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda sent: elsewhere.append(sent.url) if not sent.url.startswith((site, "blob:")) else None)
    yield opened
    context.close()
    assert opened.refused in (len(complaints), None), complaints
    assert all("status of 40" in said for said in complaints), complaints
    assert elsewhere == []


def type_words(page, words):
    page.get_by_label("Words", exact=True).fill(words)
    page.get_by_label("Words", exact=True).press("Enter")


def hits(page):
    return page.locator(".hit")


LAB = "lab=1"


def words_field(page):
    return page.get_by_role("combobox", name="Words", exact=True)


def test_words_and_how_they_were_read(page):
    page.goto(f"/?{LAB}")
    expect(page.locator(".start")).to_contain_text(f"{COUNT} products")
    type_words(page, "golden gosoe leather coats")
    expect(hits(page)).to_have_count(COUNT)
    expect(hits(page).first.locator("img")).to_have_js_property("complete", True)
    assert hits(page).first.locator("img").evaluate("image => image.naturalWidth") == 64
    read = page.get_by_role("region", name="How the words were read")
    expect(read).to_contain_text("brand golden goose")
    expect(read).to_contain_text("for “golden gosoe”")
    expect(page.locator(".gates")).to_contain_text("brand golden goose")
    expect(page.locator(".tag.right").first).to_be_visible()

    read.get_by_role("button", name="Do not read “coats” as kind coats").click()
    expect(read.locator(".kept")).to_have_count(1)
    expect(page.locator(".gates")).not_to_contain_text("coats")
    read.get_by_role("button", name="+ kind leather").click()
    expect(page.locator("#picks")).to_contain_text("leather")
    expect(page.locator(".gates")).to_contain_text("leather")
    assert "unlink=subcategory%3Dcoats" in page.url

    page.go_back()
    expect(page.locator("#picks")).not_to_contain_text("leather")
    page.go_back()
    expect(read.locator(".kept")).to_have_count(2)
    page.reload()
    expect(read.locator(".kept")).to_have_count(2)
    expect(words_field(page)).to_have_value("golden gosoe leather coats")


def test_limits_in_the_words_are_chips_that_come_and_go(page):
    page.goto("/")
    type_words(page, "boots not gucci size 36 under 20")
    read = page.get_by_role("region", name="How the words were read")
    for chip in ("not gucci", "under 20", "size 36"):
        expect(read).to_contain_text(chip)
    shown = hits(page).count()
    assert 0 < shown < COUNT
    read.get_by_role("button", name="Do not read “under 20” as a limit").press("Enter")
    back = read.get_by_role("button", name="+ under 20")
    expect(back).to_be_visible()
    expect(words_field(page)).to_be_focused()
    assert hits(page).count() > shown
    back.click()
    expect(hits(page)).to_have_count(shown)
    type_words(page, "boots")
    expect(read).not_to_contain_text("under 20")


def test_what_nobody_understood_is_said_above_what_is_near(page):
    page.goto("/?q=zxcvb+nike")
    read = page.get_by_role("region", name="How the words were read")
    expect(read).to_contain_text("Not understood")
    expect(read.locator(".lost")).to_have_text(["zxcvb", "nike"])
    expect(
        page.get_by_role("heading", name="No products match “zxcvb”, “nike”; these are the nearest by look")
    ).to_be_visible()
    expect(page.locator(".notes")).to_have_count(0)
    type_words(page, "golden goose black boots")
    expect(read.locator(".lost")).to_have_count(0)
    expect(page.get_by_role("heading", name=re.compile("No products"))).to_have_count(0)


def test_what_is_typed_while_the_page_opens_is_kept(page):
    page.route("**/api/catalogue/**", lambda route: (words_field(page).fill("red boots"), route.continue_()))
    page.goto("/?q=coats")
    expect(hits(page)).to_have_count(COUNT)
    expect(words_field(page)).to_have_value("red boots")
    words_field(page).press("Enter")
    expect(page).to_have_url(re.compile("q=red[+]boots"))


def test_suggestions_by_keyboard(page):
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    field = words_field(page)
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    field.press_sequentially("red g")
    expect(options).to_have_text([re.compile("red golden goose.*brand, 6"), re.compile("red gucci.*brand, 6")])
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".offers [aria-selected=true]")).to_have_count(0)
    field.press("ArrowDown")
    field.press("ArrowDown")
    marked = page.locator(".offers [aria-selected=true]")
    expect(marked).to_contain_text("red gucci")
    expect(field).to_have_attribute("aria-activedescendant", marked.get_attribute("id"))
    field.press("ArrowDown")
    expect(marked).to_have_count(0)
    field.press("Escape")
    expect(options.first).to_be_hidden()
    expect(field).to_have_value("red g")
    field.press("ArrowDown")
    expect(options.first).to_be_visible()
    field.press("Enter")
    expect(hits(page)).to_have_count(COUNT)
    assert "q=red+g" in page.url, "nothing was marked: what was typed is searched for"
    expect(options.first).to_be_hidden()
    field.press_sequentially("u")
    expect(options).to_have_count(1)
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("red gucci")
    expect(page).to_have_url(re.compile("q=red[+]gucci"))
    field.press_sequentially(" xyz")
    expect(options.first).to_be_hidden()


def test_the_first_are_re_ranked_by_a_switch_where_that_can_be(browser, page, reranking_site):
    with opened_page(browser, reranking_site) as other:
        other.goto(f"/?v=eiclip&q=black+boots&{LAB}")
        expect(hits(other)).to_have_count(COUNT)
        before = hits(other).all_inner_texts()
        switch = other.get_by_label("Re-rank the first 5", exact=True)
        expect(switch).not_to_be_checked()
        switch.check()
        expect(other.locator(".notes")).to_contain_text("The first 5 products were re-ranked.")
        assert hits(other).all_inner_texts() != before
        assert "rerank=1" in other.url
        other.reload()
        expect(switch).to_be_checked()
        expect(other.locator(".notes")).to_contain_text("re-ranked")
        other.get_by_label("Model").select_option("eiclip_plus")
        expect(switch).to_be_hidden()
        expect(hits(other)).to_have_count(COUNT)
        expect(other.locator(".notes")).to_have_count(0)
    page.goto(f"/?v=eiclip&q=black+boots&rerank=1&{LAB}")  # sent by somebody whose home has it
    expect(hits(page)).to_have_count(COUNT)
    expect(page.get_by_label(re.compile("Re-rank"))).to_be_hidden()


def test_filters_beside_counts_stay_in_the_address(page):
    page.goto("/?q=boots")
    expect(hits(page)).to_have_count(COUNT)
    brands = page.get_by_role("group", name="brand")
    brands.get_by_role("checkbox", name=re.compile("^gucci")).check()
    expect(hits(page)).to_have_count(COUNT // 3)
    expect(brands.get_by_role("checkbox", name=re.compile("^gucci"))).to_be_focused()
    brands.get_by_role("checkbox", name=re.compile("^acne")).check()
    expect(hits(page)).to_have_count(2 * COUNT // 3)
    page.get_by_label("Highest price").fill("20.5")
    page.get_by_label("Highest price").press("Enter")
    expect(page.locator("#status")).to_have_text("1 to 6 of 6 products.")  # numbers 1, 2, 4, 5, 7 and 8
    page.get_by_label("In stock").check()
    expect(page.locator("#status")).to_have_text("1 to 3 of 3 products.")  # numbers 4, 7 and 8
    expect(page.locator("#read")).to_contain_text("in stock")
    page.get_by_label("Sort by").select_option("-price")
    address = page.url
    for part in ("f=brand%3Agucci", "f=brand%3Aacne+studios", "high=20.5", "stock=1", "sort=-price"):
        assert part in address
    page.reload()
    expect(brands.get_by_role("checkbox", name="gucci")).to_be_checked()
    expect(page.get_by_label("Highest price")).to_have_value("20.5")
    expect(page.get_by_label("Sort by")).to_have_value("-price")
    page.get_by_role("button", name="Do not filter by price").click()
    expect(page.get_by_label("Highest price")).to_have_value("")
    page.get_by_role("button", name="Clear filters").click()
    expect(hits(page)).to_have_count(COUNT)


def test_tags_filter_and_are_taken_back(page):
    page.goto("/?q=coats")
    expect(hits(page)).to_have_count(COUNT)
    tag = page.locator(".tag", has_text="gucci").first
    tag.click()
    expect(hits(page)).to_have_count(COUNT // 3)
    expect(page.get_by_role("button", name="Do not filter by brand gucci")).to_be_visible()
    pressed = page.locator(".tag[aria-pressed=true]")
    expect(pressed).to_have_count(COUNT // 3)
    pressed.first.click()
    expect(hits(page)).to_have_count(COUNT)


def test_a_product_leads_to_the_shop_and_its_photo_opens(page):
    page.goto("/?q=boots")
    expect(hits(page)).to_have_count(COUNT)
    name = hits(page).filter(has_text="number 8").get_by_role("link")
    expect(name).to_have_attribute("href", "https://shop.example/8?a=1&b=2")
    expect(name).to_have_attribute("target", "_blank")
    expect(name).to_have_attribute("rel", re.compile("noopener"))
    assert hits(page).filter(has_text=HOSTILE).get_by_role("link").count() == 0, "javascript: is no page of a shop"
    expect(hits(page).filter(has_text="number 8").locator(".facts")).to_contain_text("€20.50")
    expect(hits(page).filter(has_text="number 0").locator(".facts")).to_contain_text("in stock")
    expect(hits(page).filter(has_text="number 9").locator(".facts")).to_contain_text("out of stock")
    button = hits(page).filter(has_text="number 8").get_by_role("button", name=re.compile("larger"))
    button.focus()
    button.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("img")).to_have_js_property("naturalWidth", 64)
    expect(dialog.get_by_role("heading")).to_contain_text("number 8")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_a_photo_is_chosen_weighed_and_survives_a_reload(page, tmp_path):
    (tmp_path / "mine.png").write_bytes(as_file(photo_of(7, 200)))
    page.goto(f"/?{LAB}")
    expect(page.locator(".start")).to_be_visible()
    page.locator("#photo").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#seed")).to_contain_text("mine.png")
    page.get_by_role("radio", name="photo").check(force=True)
    expect(hits(page).first).to_contain_text("number 7")
    expect(page.locator("#mix")).to_be_hidden()
    type_words(page, "gucci boots")
    page.locator("#weight").fill("100")
    expect(page.locator("#weight-says")).to_have_text("100 % photo, 0 % words")
    expect(hits(page).first).to_contain_text("number 7")
    page.reload()
    expect(page.locator("#seed")).to_contain_text("mine.png")
    expect(hits(page).first).to_contain_text("number 7")

    address = page.url
    page.get_by_role("button", name="Forget my photos").click()
    expect(page.locator("#seed")).to_contain_text("keeps no photos of yours any more")
    assert "photo=" not in page.url
    page.goto(address)
    expect(page.locator("#seed")).to_contain_text("not in this browser, or no longer")
    expect(words_field(page)).to_have_value("gucci boots")
    expect(hits(page)).to_have_count(COUNT)


def test_a_photo_goes_and_comes_back_with_the_history(page, tmp_path):
    (tmp_path / "mine.png").write_bytes(as_file(photo_of(7, 200)))
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    page.locator("#photo").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#seed")).to_contain_text("mine.png")
    page.get_by_role("button", name="Remove the photo").click()
    expect(page.locator("#seed")).to_be_hidden()
    page.go_back()
    expect(page.locator("#seed")).to_contain_text("mine.png")


def test_a_part_of_a_photo_by_keyboard_and_pointer(page, tmp_path):
    (tmp_path / "mine.png").write_bytes(as_file(photo_of(7, 200)))
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    page.locator("#photo").set_input_files(tmp_path / "mine.png")
    page.get_by_role("button", name="Part of it").press("Enter")
    dialog = page.get_by_role("dialog", name="Search by a part of the photo")
    expect(dialog).to_be_visible()
    left = dialog.get_by_label("Left")
    left.focus()
    for _ in range(25):
        left.press("ArrowRight")
    assert dialog.locator("#crop-box").evaluate("box => box.style.left") == "25%"
    dialog.get_by_label("Right").fill("10")
    expect(dialog.get_by_label("Right")).to_have_value("30")
    frame = dialog.locator("#crop-frame").bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.1, frame["y"] + frame["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.6, frame["y"] + frame["height"] * 0.7, steps=3)
    page.mouse.up()
    dialog.get_by_role("button", name="Search by this part").press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#seed")).to_contain_text("part of mine.png")
    expect(page.locator("#seed img")).to_have_js_property("complete", True)
    size = page.locator("#seed img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert size == pytest.approx([100, 100], abs=3)
    expect(hits(page)).to_have_count(COUNT)


def test_what_is_no_photo_is_told(page, tmp_path):
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    page.refused = 1
    (tmp_path / "text.png").write_bytes(b"no photo")
    page.locator("#photo").set_input_files(tmp_path / "text.png")
    expect(page.get_by_role("alert")).to_contain_text("not a JPEG, PNG or WEBP")
    (tmp_path / "large.png").write_bytes(bytes(11 * 2**20))
    page.locator("#photo").set_input_files(tmp_path / "large.png")
    expect(page.get_by_role("alert")).to_contain_text("10 MB is the most")


def test_a_dropped_photo(page, site):
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    dropped = page.evaluate_handle(
        """async () => {
            const photo = await (await fetch("api/photo/shop?product=p8")).blob();
            const carried = new DataTransfer();
            carried.items.add(new File([photo], "dropped.jpg", { type: "image/jpeg" }));
            return carried;
        }"""
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop the photo")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop the photo")).to_be_hidden()
    expect(page.locator("#seed")).to_contain_text("dropped.jpg")
    expect(hits(page)).to_have_count(COUNT)


def test_entities_are_picked_by_keyboard_and_filter(page):
    page.goto(f"/?{LAB}")
    expect(page.locator(".start")).to_be_visible()
    type_words(page, "red coats")
    field = page.get_by_label("Entity to add")
    field.focus()
    field.press_sequentially("gu")
    field.press("Enter")  # before the values for it have come
    expect(page.locator("#picks")).to_contain_text("gucci")
    expect(page.get_by_label("steer", exact=True)).to_be_checked()
    page.get_by_label("filter", exact=True).check()
    expect(hits(page)).to_have_count(COUNT // 3)
    page.get_by_label("steer", exact=True).uncheck()
    expect(page.locator(".gates")).not_to_contain_text("gucci")
    expect(hits(page)).to_have_count(COUNT // 3)

    page.locator("#swap-in").press_sequentially("g")
    expect(page.locator(".offers:not([hidden]) li")).to_have_text([re.compile("golden goose"), re.compile("gucci")])
    page.locator("#swap-in").press("ArrowDown")
    page.locator("#swap-in").press("ArrowUp")
    page.locator("#swap-in").press("Enter")
    expect(page.locator("#swaps")).to_contain_text("+ brand golden goose")
    assert re.search(r"[?&]f=brand%3Agucci&in=brand%3Agolden\+goose", page.url)
    page.locator("#swap-in").press("Escape")
    page.get_by_label("Words for what is not wanted").fill("boots")
    page.get_by_label("Words for what is not wanted").press("Enter")
    expect(hits(page)).to_have_count(COUNT // 3)
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(".start")).to_be_visible()
    expect(page.locator("#picks")).to_be_empty()


def test_two_models_side_by_side_and_more_like_this(page):
    page.goto(f"/?d=shop&v=eiclip&q=gucci+boots&{LAB}")
    expect(hits(page)).to_have_count(COUNT)
    page.locator("#second").select_option("clip_description")
    expect(page.locator(".answer")).to_have_count(2)
    expect(page.get_by_role("heading", level=2)).to_have_text(["EI-CLIP", "CLIP fine-tuned on descriptions"])
    expect(page.locator(".place.both")).to_have_count(2 * COUNT)
    boxes = [page.locator(".answer").nth(n).bounding_box() for n in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]

    title = hits(page).first.get_by_role("heading").inner_text().split(". ", 1)[1]
    expect(page.locator(".rank").first).to_be_visible()
    hits(page).first.get_by_role("button", name="More like").click()
    expect(page.locator("#seed")).to_contain_text(f"like {title}")
    expect(hits(page)).to_have_count(2 * (COUNT - 1))
    expect(words_field(page)).to_be_focused()


def test_the_lab_is_behind_one_switch(page):
    page.goto("/?q=gucci+boots")
    expect(hits(page)).to_have_count(COUNT)
    lab = page.get_by_role("switch", name="Lab view")
    for own in (
        page.locator("#variant"),
        page.locator(".gates"),
        page.locator(".meter"),
        page.get_by_text("Rank by"),
    ):
        expect(own.first).to_be_hidden()
    lab.focus()
    lab.press("Space")
    expect(page.locator(".gates")).to_be_visible()
    expect(lab).to_be_focused()
    assert LAB in page.url
    page.get_by_role("radio", name="words").check(force=True)
    page.locator("#variant").select_option("clip_description")
    expect(page.get_by_role("heading", level=2)).to_have_text("CLIP fine-tuned on descriptions")
    assert "by=words" in page.url
    page.reload()
    expect(page.get_by_role("radio", name="words")).to_be_checked()
    lab.uncheck()
    expect(page.locator(".meter").first).to_be_hidden()
    assert not re.search("by=|lab=|clip_description", page.url), "nothing that cannot be seen still counts"


def test_hostile_texts_are_shown_as_text(page):
    page.goto("/")
    expect(page.locator(".start")).to_be_visible()
    type_words(page, f"{HOSTILE} gucci")
    expect(hits(page)).to_have_count(COUNT)
    expect(hits(page).filter(has_text=HOSTILE)).to_have_count(1)
    hits(page).filter(has_text=HOSTILE).get_by_role("button", name="More like").click()
    expect(page.locator("#seed")).to_contain_text(HOSTILE)
    page.goto(f"/?d=shop&v=eiclip&q=x&f=brand:{HOSTILE}&in={HOSTILE}:b&unlink={HOSTILE}&w=NaN&view={HOSTILE}")
    expect(page.get_by_role("alert")).to_contain_text("<img src=x onerror=")
    page.refused = 1
    assert page.title() == "Product search"
    assert page.locator("img[src=x]").count() == 0


def test_an_address_of_another_home_is_told(page):
    page.goto("/?d=nowhere&v=eiclip&q=coat")
    expect(page.get_by_role("alert")).to_contain_text("No dataset 'nowhere': there are shop.")
    page.locator("#dataset").select_option("shop")
    expect(hits(page)).to_have_count(COUNT)
    page.goto(f"/?d=shop&v=none&q=coat&{LAB}")
    expect(page.get_by_role("alert")).to_contain_text("No variant 'none'")
    page.locator("#variant").select_option("eiclip")
    expect(hits(page)).to_have_count(COUNT)
    page.refused = 2


def test_a_phone_has_it_all_in_its_width(page):
    page.set_viewport_size({"width": 390, "height": 844})
    for address in (
        "/",
        "/?d=shop&q=zxcvb&high=20&f=brand:gucci",
        "/?d=shop&v=eiclip&with=clip_description&q=boots",
    ):
        page.goto(address)
        expect(page.locator(".hit, .start").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(hits(page)).to_have_count(2 * COUNT)
    expect(page.get_by_label("Entity to add")).to_be_hidden()
    page.locator("#refine > summary").click()
    expect(page.get_by_label("Entity to add")).to_be_visible()
    expect(page.get_by_role("group", name="brand")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    hits(page).first.get_by_role("button", name=re.compile("larger")).click()
    box = page.get_by_role("dialog").bounding_box()
    assert (box["x"] >= 0, box["x"] + box["width"] <= 390) == (True, True)


CONTRAST = """() => {
    const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
    const over = ([r, g, b, a = 1], below) => [r, g, b].map((part, n) => part * a + below[n] * (1 - a));
    const behind = (element) => {
        const layers = [];
        for (let own = element; own; own = own.parentElement) layers.push(parse(getComputedStyle(own).backgroundColor));
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    };
    const light = (color) => color.map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
    const ratio = (element, color) => {
        const back = behind(element);
        const [low, high] = [light(over(parse(color), back)), light(back)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const found = [];
    const add = (element, text, part) => {
        if (text) found.push([ratio(element, getComputedStyle(element, part).color), text]);
    };
    for (const element of document.querySelectorAll("body *")) {
        if (!element.checkVisibility() || element.matches(":disabled, option")) continue;
        const own = [...element.childNodes].filter((node) => node.nodeType === 3);
        add(element, own.map((node) => node.data.trim()).join(""));
        if (element.matches("select, [type=search], [type=text], [type=number]")) add(element, element.value);
        if (element.placeholder && !element.value) add(element, element.placeholder, "::placeholder");
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(browser, site, scheme):
    with opened_page(browser, site, color_scheme=scheme) as page:
        seen = []
        for address in (
            "/", "/?q=golden+gosoe+leather+boots+not+red+under+20+nike&f=brand:gucci", "/?q=zxcvb",
            "/?q=gucci+boots&v=eiclip&with=clip_description&e=subcategory:boots&in=brand:gucci", "/?d=nowhere&q=x",
        ):  # fmt: skip
            page.goto(address)
            expect(page.locator(".hit, .start, .empty, .problem:not([hidden])").first).to_be_visible()
            expect(page.locator("#found")).not_to_have_attribute("aria-busy", "true")
            expect(page.locator("#found")).to_have_css("opacity", "1")
            seen += page.evaluate(CONTRAST)
        page.refused = 1
        page.goto("/?q=boots")
        expect(hits(page)).to_have_count(COUNT)
        words_field(page).press("End")
        words_field(page).press_sequentially(" g")
        expect(page.locator(".offers [role=option]").first).to_be_visible()
        words_field(page).press("ArrowDown")
        seen += page.evaluate(CONTRAST)
        words_field(page).press("Escape")
        hits(page).first.get_by_role("button", name=re.compile("larger")).click()
        seen += page.evaluate(CONTRAST)
    assert len({text for _, text in seen}) > 100
    assert [(round(ratio, 2), text) for ratio, text in seen if ratio < 4.5] == []


def test_the_keyboard_reaches_everything_and_is_never_lost(page):
    page.goto("/?q=golden+goose+boots+not+red&f=brand:gucci")
    expect(hits(page)).to_have_count(COUNT // 3)
    controls = "button:enabled, input, select, a[href], summary"
    count = page.locator(controls).count()
    page.evaluate("document.activeElement.blur()")
    for _ in range(count + 20):
        page.keyboard.press("Tab")
        page.evaluate("document.activeElement.dataset.reached = 1")
    said = "own.labels?.length || own.ariaLabel || own.textContent.trim()"
    for missed in ("own.checkVisibility() && !own.dataset.reached", f"!({said})"):
        found = "(which) => [...document.querySelectorAll(which)].filter((own) => MISSED).map((own) => own.outerHTML)"
        assert page.evaluate(found.replace("MISSED", missed), controls) == []
    assert page.locator("img:not([alt])").count() == 0


@pytest.fixture
def own_site(tmp_path):
    """A home of thirty products of its own, served with a log of clicks: its root, the log and the address."""
    write_home(tmp_path / "home", "shop", 30)
    engines, log = Engines(tmp_path / "home"), tmp_path / "clicks.csv"
    with served(create_app(engines, log=ClickLog(log))) as address:
        yield tmp_path / "home", log, address


def test_pages_clicks_and_a_product_that_has_gone(browser, own_site):
    root, log, address = own_site
    with opened_page(browser, address) as page:
        page.goto("/?q=boots")
        expect(hits(page)).to_have_count(24)
        expect(page.locator("#recorded")).to_contain_text("Your clicks are recorded")
        expect(page.get_by_role("button", name="Previous")).to_be_disabled()
        page.get_by_role("button", name="Next").press("Enter")
        expect(page.locator("#status")).to_have_text("25 to 30 of 30 products.")
        expect(page.locator("#status")).to_be_focused()
        expect(hits(page)).to_have_count(6)
        assert "page=2" in page.url
        page.reload()
        expect(hits(page)).to_have_count(6)
        type_words(page, "coats")
        expect(hits(page)).to_have_count(24)
        assert "page=" not in page.url
        page.goto("/?q=boots&page=7")
        expect(page.locator(".empty")).to_contain_text("no products on this page")
        page.get_by_role("button", name="Previous").click()
        expect(hits(page)).to_have_count(6)

        page.goto("/?q=boots")
        page.get_by_role("button", name=re.compile("^Fits: .*number 8")).click()
        expect(page.get_by_role("button", name=re.compile("^Fits: .*number 8"))).to_have_attribute(
            "aria-pressed", "true"
        )
        page.get_by_role("button", name=re.compile("^Does not fit: .*number 6")).click()
        expect(page.get_by_role("button", name=re.compile("^Does not.*number 6"))).to_have_attribute(
            "aria-pressed", "true"
        )
        with log.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [(row["item"], row["unwanted"], row["action"], row["query"]) for row in rows] == [
            ("p8", "", "up", "boots"),
            ("", "p6", "down", "boots"),
        ]
        assert len({row["session"] for row in rows}) == 1

        write_photos(root, "shop", [product for product in products(30) if product.product_id != "p8"])
        page.refused = 1
        page.get_by_role("button", name=re.compile("Photo of .*number 8, larger")).scroll_into_view_if_needed()
        page.evaluate("""() => { for (const image of document.querySelectorAll(".hit img"))
            if (image.src.endsWith("product=p8")) image.src += "&again"; }""")
        expect(hits(page).filter(has_text="number 8")).to_contain_text("no photo")


def test_more_like_a_product_that_was_removed_is_told(page):
    page.goto("/?d=shop&like=p99")
    expect(page.get_by_role("alert")).to_contain_text("it was removed, or never there")
    page.refused = None  # its photo as well, whenever it is shown
    expect(page.locator("#seed img")).to_have_count(0)
    type_words(page, "boots")
    page.get_by_role("button", name="Do not search by this product").click()
    expect(hits(page)).to_have_count(COUNT)
