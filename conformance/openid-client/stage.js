// What the flows need: countersign and the sandbox bank as `conformance serve` puts them up, and a place where pings arrive.

import { spawn, execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Certificates for this side: one to call with, and one to be called at. */
async function certificates(folder) {
  const out = join(folder, 'certs')
  await promisify(execFile)('cargo', ['run', '-q', '--locked', '--bin', 'countersign', '--', 'certs', 'dev', '--out', out], { cwd: root })
  const read = (name) => readFile(join(out, name), 'utf8')
  return {
    ca: { file: join(out, 'ca.pem') },
    client: { cert: await read('till.pem'), key: await read('till.key') },
    server: { cert: await read('server-p256.pem'), key: await read('server-p256.key') },
  }
}

/** Where the server sends its pings (CIBA §10.2), by the bearer token that each comes with. */
class Pings {
  #waiting = new Map()

  async listen(server) {
    this.https = createServer(server, (request, response) => this.#take(request, response))
    this.https.listen(0, 'localhost')
    await once(this.https, 'listening')
    this.https.unref()
    this.url = `https://localhost:${this.https.address().port}`
    return this
  }

  /** The `auth_req_id` that comes with `token`. */
  expect(token) {
    return new Promise((resolve) => this.#waiting.set(`Bearer ${token}`, resolve))
  }

  async #take(request, response) {
    let body = ''
    for await (const part of request) body += part
    const arrived = this.#waiting.get(request.headers.authorization)
    response.writeHead(arrived ? 204 : 401).end()
    arrived?.(JSON.parse(body).auth_req_id)
  }
}

/** Puts everything up. */
export async function putUp(plan) {
  const folder = await mkdtemp(join(tmpdir(), 'openid-client-'))
  const { ca, client, server } = await certificates(folder)
  const pings = await new Pings().listen(server)
  const serve = ['run', '-q', '--locked', '-p', 'conformance', '--', 'serve', '--json', '--plan', plan]
  const child = spawn('cargo', [...serve, '--suite-ca', ca.file], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { value, done } = await lines.next()
  if (done) throw new Error('conformance serve has ended; what it said is above')
  const served = JSON.parse(value)
  return {
    ...served,
    authority: await readFile(served.ca, 'utf8'),
    client,
    pings,
    async takeDown() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true })
    },
  }
}
