# frozen_string_literal: true

# Sidekiq's side of PeerFloors: one case, its figures as one line of JSON. `ruby sidekiq.rb quiet|rates|version`, with the setting in
# PEER_SETTING. Jobs are made here; a sidekiq process, started when there is something to do, works on them.
require_relative "sidekiq_job"

Sidekiq.configure_client { |config| config.redis = Peer::REDIS.merge(size: Peer::SETTING["callers"] + 2) }

# One case.
class Producer
  def initialize(setting)
    @setting = setting
    @batch = setting["batch"]
    @flooders = setting["flooders"]
    @tenants = setting["quiet"]
    @pushed = 0
  end

  def quiet
    working do
      push_all(@flooders + @tenants, @setting["warmUp"]) # and wait until they are done
      empty
      fill until @flooders.empty? || missing < @batch
      flooding = Thread.new { keep_flooding }
      rate = handled_per_second { send_quietly }
      left = waiting
      @stopped = true
      flooding.join
      {dwell: dwell, sent: sent, waiting: left, handledPerSecond: rate}
    end
  end

  def rates
    callers, bulk_callers, count = @setting.values_at("callers", "bulkCallers", "count")
    one = ->(share) { share.times { push_one("env-1") } }
    bulk = ->(share) { push_all(["env-1"], share) }
    figures = {}
    2.times do # the first is to warm up
      figures[:one] = timed(count) { together(callers, count, one) }
      redis { |conn| conn.flushall }
      figures[:bulk] = timed(count) { together(bulk_callers, count, bulk) }
      redis { |conn| conn.flushall }
    end
    working do
      together(bulk_callers, 5 * count, bulk)
      sleep 0.01 until waiting <= 2 * count # by then it is warm
      left = waiting
      figures[:process] = timed(left) { empty }
    end
    figures
  end

  private

  def event(tenant, at = nil)
    event = @setting["event"].merge("environment" => tenant)
    at ? event.merge("at" => at) : event
  end

  def queue(tenant)
    @setting["queuePerTenant"] ? tenant : "q"
  end

  def queues
    (@flooders + @tenants).map { |tenant| queue(tenant) }.uniq
  end

  def push_one(tenant, at = nil)
    Sidekiq::Client.push("class" => PeerJob, "queue" => queue(tenant), "args" => [event(tenant, at)])
  end

  # In turn for each, a batch at a time.
  def push_all(tenants, count)
    (count / @batch).times do |i|
      tenant = tenants[i % tenants.size]
      Sidekiq::Client.push_bulk("class" => PeerJob, "queue" => queue(tenant), "args" => Array.new(@batch) { [event(tenant)] })
      @pushed += @batch
    end
  end

  def missing
    @setting["backlog"] - waiting
  end

  def fill
    push_all(@flooders, [missing, 50 * @batch].min)
  end

  def keep_flooding
    until @stopped || @flooders.empty?
      (missing < @batch) ? sleep(0.01) : fill
    end
  end

  def sent
    @setting["seconds"] * @tenants.size
  end

  def send_quietly
    began = Peer.micros + 500_000
    sent.times do |i|
      pause = began + i * 1_000_000 / @tenants.size - Peer.micros
      sleep(pause / 1e6) if pause.positive?
      push_one(@tenants[i % @tenants.size], Peer.micros)
    end
  end

  def handled_per_second
    began = Peer.micros
    before = @pushed - waiting
    yield
    (@pushed - waiting - before) * 1e6 / (Peer.micros - began)
  end

  def dwell
    ends = Peer.micros + @setting["patienceSeconds"] * 1_000_000
    sleep 0.05 while redis { |conn| conn.llen("peer:dwell") } < sent && Peer.micros < ends
    redis { |conn| conn.lrange("peer:dwell", 0, -1) }.map(&:to_i)
  end

  def waiting
    redis { |conn| conn.pipelined { |pipeline| queues.each { |queue| pipeline.llen("queue:#{queue}") } } }.sum
  end

  def empty
    sleep 0.01 until waiting.zero?
  end

  def together(threads, count, work)
    Array.new(threads) { Thread.new { work.call(count / threads) } }.each(&:join)
  end

  # How many a second, and what one costs the server.
  def timed(count)
    before = server_micros
    began = Peer.micros
    yield
    {perSecond: count * 1e6 / (Peer.micros - began), serverMicros: (server_micros - before) / count}
  end

  def server_micros
    redis { |conn| conn.info(:cpu) }.values_at("used_cpu_sys", "used_cpu_user").sum(&:to_f) * 1e6
  end

  def redis(&block)
    Sidekiq.redis(&block)
  end

  def working
    weighted = queues.flat_map { |queue| ["-q", @setting["queuePerTenant"] ? "#{queue},1" : queue] }
    job = File.join(__dir__, "sidekiq_job.rb")
    worker = spawn("sidekiq", "-r", job, "-c", @setting["concurrency"].to_s, "-t", "1", *weighted, out: :err)
    yield
  ensure
    Process.kill("TERM", worker)
    Process.wait(worker)
  end
end

if ARGV[0] == "version"
  puts Sidekiq::VERSION
else
  puts JSON.generate(Producer.new(Peer::SETTING).public_send(ARGV[0]))
end
