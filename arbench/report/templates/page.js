// Joins the parts of the page to the libraries in it: Alpine holds the state, sortable sorts. Nothing is fetched.
document.addEventListener('alpine:init', () => {
  const root = document.documentElement
  const all = (selector, within = document) => [...within.querySelectorAll(selector)]

  const THEME = 'arbench-theme'
  const recall = () => {
    try { return localStorage.getItem(THEME) ?? 'auto' } catch { return 'auto' } // a page from a file may have no store
  }
  const remember = (theme) => {
    try { localStorage.setItem(THEME, theme) } catch { /* the choice ends with the page */ }
  }

  // The whole page: its theme, and the methods that are shown.
  Alpine.data('page', () => ({
    theme: recall(),
    on: [],
    names: [],
    init() {
      this.names = all('.switch input').map((input) => input.value)
      this.on = [...this.names]
      all('button.sort').forEach((button) => { button.disabled = false })
      root.classList.add('live')
    },
    all() { this.on = [...this.names] },
    none() { this.on = [] },
    hides(method) { return this.names.includes(method) && !this.on.includes(method) },
    apply() {
      if (this.theme === 'auto') delete root.dataset.theme
      else root.dataset.theme = this.theme
      remember(this.theme)
      for (const part of all('[data-method], [data-key]')) {
        part.classList.toggle('off', this.hides(part.dataset.method ?? part.dataset.key))
      }
    },
  }))

  // A table or a figure: its filter, if it has one, and the hint that it is wider than its frame.
  Alpine.data('grid', () => ({
    query: '',
    said: '',
    ready: false,
    wide: false,
    init() {
      const frame = this.$root.querySelector('.scroll')
      this.ready = this.$root.dataset.search === 'yes'
      const sizes = new ResizeObserver(() => { this.wide = frame.scrollWidth > frame.clientWidth + 1 })
      sizes.observe(frame)
      sizes.observe(frame.firstElementChild)
    },
    sift() {
      const words = this.query.toLowerCase().split(/\s+/).filter(Boolean)
      let shown = 0
      let total = 0
      for (const body of all('tbody:not(.section)', this.$root)) {
        let left = 0
        for (const row of body.rows) {
          const text = row.textContent.toLowerCase()
          row.hidden = !words.every((word) => text.includes(word))
          if (!row.hidden && !this.hides(row.dataset.method)) left += 1
        }
        shown += left
        total += body.rows.length
        if (body.previousElementSibling?.matches('.section')) body.previousElementSibling.hidden = !left
      }
      this.said = shown === total ? `${total} rows` : `${shown} of ${total} rows`
    },
  }))

  // A case in detail, beside what shows it: a link in a table, or a mark in a figure.
  const tip = document.getElementById('tip')
  const AFTER = 120 // milliseconds that the pointer rests
  const LEAST = 160 // pixels that it is high, even where there is no room
  let at = null
  let stays = false // opened by a key or a finger, so the pointer does not close it
  let timer = 0
  const hide = () => {
    clearTimeout(timer)
    if (at) tip.hidePopover()
    at = null
  }
  const later = (act) => {
    clearTimeout(timer)
    timer = setTimeout(act, AFTER)
  }
  const show = (part, stay = false) => {
    clearTimeout(timer)
    const from = document.getElementById(part.dataset.case)
    if (at === part || !from) return
    const title = document.createElement('p')
    title.className = 'title'
    title.textContent = from.querySelector('summary').textContent
    const about = from.querySelector('.about').cloneNode(true)
    all('[tabindex]', about).forEach((one) => one.removeAttribute('tabindex'))
    tip.replaceChildren(title, about)
    at = part
    stays = stay
    tip.style.maxHeight = ''
    tip.showPopover()
    const [box, mine] = [part.getBoundingClientRect(), tip.getBoundingClientRect()]
    const [above, below] = [box.top - 10, innerHeight - box.bottom - 10]
    const under = mine.height <= below || below >= above
    const height = Math.min(mine.height, Math.max(under ? below : above, LEAST))
    tip.style.maxHeight = `${height}px`
    tip.style.top = `${Math.max(4, under ? box.bottom + 6 : box.top - 6 - height)}px`
    tip.style.left = `${Math.max(4, Math.min(box.left, root.clientWidth - mine.width - 4))}px`
  }
  const of = (event) => event.target.closest?.('[data-case]')

  document.addEventListener('pointerover', (event) => {
    if (event.pointerType === 'touch') return
    if (of(event)) later(() => show(of(event)))
    else if (tip.contains(event.target)) clearTimeout(timer)
    else if (at && !stays) later(hide)
  })
  document.addEventListener('focusin', (event) => {
    if (of(event)?.matches(':focus-visible')) show(of(event), true)
  })
  document.addEventListener('focusout', (event) => { if (of(event) && of(event) === at) hide() })
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') hide() })
  addEventListener('scroll', () => { if (at && !stays) hide() }, { passive: true })
  document.addEventListener('click', (event) => {
    const part = of(event)
    if (part && event.pointerType === 'touch') {
      event.preventDefault() // a finger cannot hover: it sees the case here, and stays
      show(part, true)
    } else if (part && !part.matches('a')) {
      location.hash = part.dataset.case
    } else if (!part && !tip.contains(event.target)) {
      hide()
    }
  })

  // The help beside a heading explains it, and does not sort.
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('.help')) event.stopPropagation()
  }, true)

  // A link to a case opens it.
  const open = () => {
    const part = document.getElementById(location.hash.slice(1))
    hide()
    if (part?.matches('details')) {
      part.open = true
      part.scrollIntoView()
    }
  }
  addEventListener('hashchange', open)
  open()
})
