# frozen_string_literal: true

# Sidekiq's side of PeerFloors: the job. `sidekiq -r ./sidekiq_job.rb -c 50 -q …` works on it, sidekiq.rb makes it.
require "sidekiq"

Sidekiq.logger.level = Logger::ERROR # a line for each job would be most of the work
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=) # as would be what redis-rb 4.8 says of Sidekiq 6.4

# What the parts share.
module Peer
  SETTING = JSON.parse(ENV.fetch("PEER_SETTING"))
  REDIS = {url: "redis://127.0.0.1:#{SETTING["port"]}"}.freeze
  WORK = SETTING["workMs"] / 1000.0

  def self.micros
    Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond) # the same for all processes
  end
end

# A message; those of quiet tenants say when they were sent, and the handler first notes how long they waited.
class PeerJob
  include Sidekiq::Worker

  def perform(event)
    if event["at"]
      dwell = Peer.micros - event["at"]
      Sidekiq.redis { |redis| redis.rpush("peer:dwell", dwell) }
    end
    sleep(Peer::WORK) if Peer::WORK.positive?
  end
end

Sidekiq.configure_server { |config| config.redis = Peer::REDIS }
