// BullMQ's side of PeerFloors: one case, its figures as one line of JSON. Workers, the flood and the quiet tenants share one process, as
// Millrace's do. `node bullmq.mjs quiet|rates|version`, with the setting in PEER_SETTING.
import { createRequire } from 'node:module';
import { Redis } from 'ioredis';
import { Queue, Worker } from 'bullmq';

const mode = process.argv[2];
const setting = JSON.parse(process.env.PEER_SETTING);
const connection = { host: '127.0.0.1', port: setting.port, maxRetriesPerRequest: null };
const admin = new Redis({ ...connection, lazyConnect: true });

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const micros = () => Number(process.hrtime.bigint() / 1000n);
const handling = () => (setting.workMs > 0 ? sleep(setting.workMs) : Promise.resolve());

async function serverMicros() {
  const info = await admin.info('cpu');
  return [...info.matchAll(/used_cpu_(?:sys|user):([\d.]+)/g)].reduce((sum, match) => sum + Number(match[1]), 0) * 1e6;
}

function event(tenant, at) {
  return { ...setting.event, environment: tenant, at };
}

/** One queue for all, or one for each tenant with a worker of its own: what BullMQ can do without groups, which are Pro's. */
class Jobs {
  queues = new Map();
  workers = [];

  constructor(handler) {
    this.handler = handler;
  }

  open(tenants) {
    for (const name of setting.queuePerTenant ? tenants : ['q']) {
      this.queues.set(name, new Queue(name, { connection, defaultJobOptions: { removeOnComplete: true } }));
    }
  }

  work() {
    const concurrency = setting.concurrency;
    this.workers = [...this.queues.keys()].map(
      (name) => new Worker(name, this.handler, { connection, concurrency }),
    );
    return Promise.all(this.workers.map((worker) => worker.waitUntilReady()));
  }

  of(tenant) {
    return this.queues.get(setting.queuePerTenant ? tenant : 'q');
  }

  /** 100 at a time, for each queue those of its own. */
  addAll(tenants, count) {
    const parts = new Map();
    for (let i = 0; i < count; i++) {
      const tenant = tenants[i % tenants.length];
      const queue = this.of(tenant);
      if (!parts.has(queue)) {
        parts.set(queue, []);
      }
      parts.get(queue).push({ name: 'page', data: event(tenant) });
    }
    return Promise.all([...parts].map(([queue, jobs]) => queue.addBulk(jobs)));
  }

  async close() {
    await Promise.all(this.workers.map((worker) => worker.close(true)));
    await Promise.all([...this.queues.values()].map((queue) => queue.close()));
  }
}

async function quiet() {
  const { flooders, quiet: tenants, seconds, backlog, batch } = setting;
  let waiting = 0;
  let flooded = 0;
  let sent = 0;
  let stopped = false;
  const dwell = [];
  const jobs = new Jobs((job) => {
    if (job.data.at === undefined) {
      flooded++;
      waiting--;
    } else {
      dwell.push(micros() - job.data.at);
    }
    return handling();
  });
  jobs.open([...flooders, ...tenants]);

  const add = (names) => {
    waiting += batch;
    return jobs.addAll(names, batch);
  };
  const fill = async () => {
    const missing = Math.min(10, Math.floor((backlog - waiting) / batch)); // calls at once, or workers are faster
    await Promise.all(Array.from({ length: missing }, () => add(flooders)));
    return missing;
  };
  const keepFlooding = async () => {
    while (!stopped) {
      if ((await fill()) === 0) {
        await sleep(1);
      }
    }
  };

  // Warm: the same work for a while. Then the flood, before anyone works on it.
  await jobs.work();
  for (let i = 0; i < setting.warmUp; i += batch) {
    await add(flooders.length > 0 ? flooders : tenants);
  }
  while (waiting > 0) {
    await sleep(10);
  }
  let flooding = Promise.resolve();
  if (flooders.length > 0) {
    await Promise.all(jobs.workers.map((worker) => worker.pause()));
    while ((await fill()) > 0) {}
    jobs.workers.forEach((worker) => worker.resume());
    flooding = keepFlooding();
  }

  const begin = micros();
  const before = flooded;
  const perSecond = tenants.length;
  while (sent < seconds * perSecond) {
    await sleep(Math.max(0, (begin + 500_000 + (sent * 1e6) / perSecond - micros()) / 1000));
    const tenant = tenants[sent++ % tenants.length];
    jobs.of(tenant).add('page', event(tenant, micros()));
  }
  const handledPerSecond = ((flooded - before) * 1e6) / (micros() - begin);
  const left = waiting;
  stopped = true;
  await flooding;
  for (const end = micros() + setting.patienceSeconds * 1e6; dwell.length < sent && micros() < end; ) {
    await sleep(10);
  }
  console.log(JSON.stringify({ dwell, sent, waiting: left, handledPerSecond }));
  await jobs.close();
}

/** How many a second, and what one costs the server. */
async function timed(count, work) {
  const before = await serverMicros();
  const begin = micros();
  await work();
  const perSecond = (count * 1e6) / (micros() - begin);
  return { perSecond, serverMicros: ((await serverMicros()) - before) / count };
}

async function rates() {
  const { facets, count, callers, bulkCallers, batch } = setting;
  const tenants = Array.from({ length: facets }, (_, i) => `env-${i}`);
  let left = 0;
  let done;
  const jobs = new Jobs(async () => {
    if (--left === 0) {
      done();
    }
  });
  jobs.open(tenants);
  const together = (n, one) => Promise.all(Array.from({ length: n }, (_, i) => one(i)));
  const addOne = () =>
    together(callers, async (caller) => {
      for (let i = caller; i < count; i += callers) {
        await jobs.of('q').add('page', event(tenants[i % facets]));
      }
    });
  const addMany = () =>
    together(bulkCallers, async (caller) => {
      for (let i = caller * batch; i < count; i += bulkCallers * batch) {
        await jobs.addAll(tenants, batch);
      }
    });
  const process = async () => {
    left = count;
    const finished = new Promise((resolve) => (done = resolve));
    await jobs.work();
    await finished;
    await Promise.all(jobs.workers.map((worker) => worker.close()));
  };
  const figures = {};
  for (let round = 0; round < 2; round++) {
    // the first is to warm up
    await admin.flushall();
    figures.one = await timed(count, addOne);
    await admin.flushall();
    figures.bulk = await timed(count, addMany);
    figures.process = await timed(count, process);
  }
  console.log(JSON.stringify(figures));
  await jobs.close();
}

if (mode === 'version') {
  console.log(createRequire(import.meta.url)('bullmq/package.json').version);
} else {
  await (mode === 'quiet' ? quiet() : rates());
}
process.exit(0);
