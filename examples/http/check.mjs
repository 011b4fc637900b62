// Asks a server with sparql-http-client, as any SPARQL endpoint and graph store, and checks the answers.
//
//     npm ci --ignore-scripts && node check.mjs http://127.0.0.1:50051
//
// The server must have the shipped data. It writes a graph and removes it again.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { Parser } from 'n3'
import StreamClient from 'sparql-http-client'
import ParsingClient from 'sparql-http-client/ParsingClient.js'

const server = process.argv[2] ?? 'http://127.0.0.1:50051'
const urls = {
  endpointUrl: `${server}/sparql`,
  updateUrl: `${server}/sparql`,
  storeUrl: `${server}/store`
}
const parsing = new ParsingClient(urls)
const streaming = new StreamClient(urls)
const { factory } = streaming
const RDF = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#'
const text = ({ termType, value, language, datatype }) =>
  [termType, value, language, datatype?.value].join('|')
const FULL_NAME = 'General Security of Military Information Agreement'
const graph = factory.namedNode('https://example.org/http-client-check')

const checks = {
  async 'rows are read, as GET, as a form and as they are' () {
    for (const operation of ['get', 'postUrlencoded', 'postDirect']) {
      const rows = await parsing.query.select('SELECT ?name WHERE { e:gsomia d:fullName ?name }', { operation })
      assert(rows.some(row => row.name.value.includes(FULL_NAME)), operation)
    }
  },
  async 'booleans and graphs are read' () {
    assert.equal(await parsing.query.ask('ASK { e:KR ?p ?o }'), true)
    const described = await parsing.query.construct('DESCRIBE e:KR')
    assert(described.size > 0)
  },
  async 'updates are made' () {
    await parsing.query.update(`INSERT DATA { GRAPH <${graph.value}> { e:a e:b 1 } }`)
    assert.equal(await parsing.query.ask(`ASK { GRAPH <${graph.value}> { e:a e:b 1 } }`), true)
    await parsing.query.update(`DROP GRAPH <${graph.value}>`)
  },
  async 'graphs are put, added to and read as streams' () {
    const quad = number => factory.quad(
      factory.namedNode(`https://example.org/${number}`),
      factory.namedNode('https://example.org/p'),
      factory.literal('한국', 'ko')
    )
    const put = Array.from({ length: 5000 }, (_, number) => quad(number))
    await streaming.store.put(Readable.from(put), { graph })
    await streaming.store.post(Readable.from([quad(0), quad(5000)]), { graph })
    let count = 0
    for await (const { object } of streaming.store.get(graph)) {
      assert.equal(object.value, '한국')
      count += 1
    }
    assert.equal(count, 5001)
    await parsing.query.update(`DROP GRAPH <${graph.value}>`)
  },
  async 'statements are read as RDF 1.2 writes them' () {
    const rows = await parsing.query.select(
      'SELECT (COUNT(*) AS ?count) WHERE { GRAPH g:statements { ?statement rdf:subject ?subject } }')
    const statements = encodeURIComponent('https://w3id.org/dossier/g/statements')
    for (const accept of ['text/turtle', 'application/n-triples']) {
      const read = async more => {
        const response = await fetch(`${server}/store?graph=${statements}${more}`, { headers: { accept } })
        return new Parser({ format: accept }).parse(await response.text())
      }
      const [quads, nodes] = [await read('&statements=reified'), await read('')]
      const reifiers = quads.filter(({ predicate, object }) =>
        predicate.value.endsWith('#reifies') && object.termType === 'Quad' && object.subject.termType === 'NamedNode')
      assert.equal(reifiers.length, Number(rows[0].count.value), accept)
      assert(reifiers.length > 0)
      // Each is about the triple that its node has in parts, and all else is the same.
      const parts = reifiers.flatMap(({ subject, object: triple }) => ['subject', 'predicate', 'object'].map(part =>
        [subject, factory.namedNode(`${RDF}${part}`), triple[part]]))
      const others = quads.filter(quad => !reifiers.includes(quad))
      const sorted = triples => triples.map(terms => terms.map(text).join(' ')).sort()
      const terms = ({ subject, predicate, object }) => [subject, predicate, object]
      assert.deepEqual(sorted([...parts, ...others.map(terms)]), sorted(nodes.map(terms)), accept)
    }
  },
  async 'errors are told' () {
    await assert.rejects(parsing.query.select('SELECT * WHERE { ?s ?p }'), /SPARQL_SYNTAX/)
  }
}

for (const [name, check] of Object.entries(checks)) {
  await check()
  console.log(`ok: ${name}`)
}
console.log(`${Object.keys(checks).length} checks passed`)
